"""What to evaluate, as settings: sets, tiers, and policies with grids of parameters."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from experiments.datasets.sets import Order
from experiments.datasets.source import Source
from experiments.evaluation.arrivals import Process
from experiments.evaluation.tier_models import TierModel
from shared.cascade.policies import PolicySettings
from shared.errors import SettingsError
from shared.runtimes.model_settings import Answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Parameter = bool | float | int | str | tuple[float | int | str, ...]
"""A value to try for a key of a policy."""


def spell(value: Parameter) -> str:
    """Return a parameter as ``--policy`` takes it: ``0.3``, ``draw``, ``1:11``."""
    if isinstance(value, tuple):
        return ":".join(map(spell, value)) + (":" if len(value) == 1 else "")
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


class PolicyGrid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One policy for each tier below the top, and the values to try for its parameters.

    ``tiers`` are policy settings, the lowest tier first; a text ``$x`` in them stands for the value
    of ``x`` in ``grid``, and ``$x/2`` for half of it. The top tier keeps everything.
    ``confidence`` is what the tiers go by, and ``answers`` says of tiers by their name whose
    answers they give.
    """

    name: Annotated[str, Meta(min_length=1, description="name of the policy, for people")]
    tiers: Annotated[
        tuple[dict[str, Any], ...],
        Meta(min_length=1, description="policy of each tier below the top, the lowest first"),
    ]
    grid: Annotated[
        dict[str, tuple[Parameter, ...]], Meta(description="values to try, by parameter")
    ] = {}
    confidence: Annotated[
        Literal["as_served", "max_probability"],
        Meta(description="what routing goes by: as the bundles say, or the largest probability"),
    ] = "as_served"
    answers: Annotated[
        dict[str, Answers],
        Meta(description="tiers that give the model's own answers, or fused ones; as served"),
    ] = {}


class ArrivalOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which order the prompts of a set arrive, and how often to repeat it."""

    order: Annotated[Order, Meta(description="as given, shuffled, or one label after another")] = (
        "shuffled"
    )
    seeds: Annotated[int, Meta(ge=1, description="how many orders; a shuffle each")] = 1
    process: Annotated[Process, Meta(description="when prompts arrive")] = "even"
    rate_per_s: Annotated[float, Meta(gt=0, description="mean arrivals a second")] = 1.0


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one evaluation needs to know."""

    name: Annotated[str, Meta(min_length=1, description="name of the study")]
    task: Annotated[
        Literal["classify", "generate"],
        Meta(description="what is asked; generate: label names the column with the wanted text"),
    ] = "classify"
    options: Annotated[
        dict[str, Any], Meta(description="generate: options that every prompt has")
    ] = {}
    sets: Annotated[tuple[Source, ...], Meta(min_length=1, description="labelled sets")]
    tiers: Annotated[
        tuple[TierModel, ...], Meta(min_length=2, description="tiers and models, lowest first")
    ]
    policies: Annotated[
        tuple[PolicyGrid, ...], Meta(min_length=1, description="policies to compare")
    ]
    arrival: ArrivalOrder = ArrivalOrder()
    joined: Annotated[
        bool, Meta(description="put the sets one after another: traffic whose domain shifts")
    ] = False
    weights: Annotated[
        tuple[float, ...],
        Meta(description="cost of each link, the lowest first, for the weighted burden"),
    ] = (1.0, 10.0)


class Candidate(NamedTuple):
    """One policy with one choice of parameters; a policy per tier, the top's included.

    ``headless`` says that it goes by the largest probability, whatever the bundles have, and
    ``answers`` has tiers that do not answer as they are served.
    """

    name: str
    parameters: dict[str, Parameter]
    policies: tuple[PolicySettings, ...]
    headless: bool = False
    answers: tuple[tuple[str, Answers], ...] = ()


def candidates(study: Study) -> list[Candidate]:
    """Return every policy at every point of its grid, or raise ``SettingsError`` naming it."""
    found = []
    for grid in study.policies:
        if len(grid.tiers) != len(study.tiers) - 1:
            raise SettingsError(
                f"policy {grid.name!r} names {len(grid.tiers)} tiers, but {len(study.tiers) - 1} "
                "lie below the top"
            )
        answers = tuple(sorted(grid.answers.items()))
        _refuse_unknown_tiers(grid, [tier.tier for tier in study.tiers])
        for parameters in _points(grid.grid):
            policies = tuple(_policy(grid.name, tier, parameters) for tier in grid.tiers)
            top = policies[-1]
            headless = grid.confidence == "max_probability"
            found.append(Candidate(grid.name, parameters, (*policies, top), headless, answers))
    return found


def _refuse_unknown_tiers(grid: PolicyGrid, tiers: Sequence[str]) -> None:
    for name in grid.answers:
        if name not in tiers:
            raise SettingsError(
                f"policy {grid.name!r}: answers names the tier {name}, but the study has "
                f"{', '.join(tiers)}"
            )


def _points(grid: Mapping[str, tuple[Parameter, ...]]) -> Iterator[dict[str, Parameter]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _policy(
    name: str, tier: Mapping[str, Any], parameters: Mapping[str, Parameter]
) -> PolicySettings:
    filled = {key: _fill(name, value, parameters) for key, value in tier.items()}
    try:
        settings: PolicySettings = msgspec.convert(filled, PolicySettings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"policy {name!r}: {error}") from error
    return settings


def _fill(name: str, value: Any, parameters: Mapping[str, Parameter]) -> Any:
    """Put the parameter's value where a text names it."""
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    key, half, _ = value[1:].partition("/2")
    if key not in parameters:
        raise SettingsError(f"policy {name!r}: {value} names no parameter of its grid")
    parameter = parameters[key]
    if half and not isinstance(parameter, (str, tuple)):
        return parameter / 2
    return parameter
