"""Whether the quality policy keeps its promise when the device's model is exchanged half-way.

For one with coarser weights, or for one that is clearly worse; and either the agent knows, as it
does of an exchange of its own (``Tier.begin_anew``), or nobody tells the policy.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
import numpy as np

from experiments.datasets.sets import order_rows
from experiments.evaluation.burden import sent_bytes
from experiments.evaluation.matrix import Matrix, TierAnswers, fill_matrix
from experiments.evaluation.offline import replay
from models.pack.coarser import coarsen
from shared.cascade.policies import KeepAll, Quality
from shared.cascade.policies.response_curve import ResponseCurve, bin_of
from shared.runtimes.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from experiments.datasets.sets import LabelledSet
    from experiments.evaluation.tier_models import TierModel
    from shared.cascade.tier import Tier

Exchange = Literal["requantised", "worse"]
EXCHANGES: Final[tuple[Exchange, ...]] = ("requantised", "worse")
BITS: Final = 3
"""Of the weights of ``requantised``, with one scale per matrix."""
TOKENS: Final = 12
"""Of a text that ``worse`` reads: a bundle packed with too short a limit."""

_GROUPS: Final = 5
"""Of prompts by their confidence, in which what was foretold is held against what was found."""
_FITS: Final = 5
"""Of a curve that has not followed its labels as they came: each is a few Newton steps."""
_TASK: Final = "classify"


class Course(NamedTuple):
    """What became of one order of a set.

    ``disagreed`` is the share of prompts whose answer is not the top tier's, ``disagreed_after``
    that of the half after the exchange; ``sent_after`` the bytes on all links in that half.
    ``noticed`` is after how many prompts of it the device raised an alarm, None if it did not.
    ``alarms`` counts those of all tiers on the whole order, and ``labels`` the prompts that came
    back to them.
    """

    disagreed: float
    disagreed_after: float
    sent_after: float
    noticed: int | None
    alarms: int
    labels: int


class Relation(NamedTuple):
    """How often the device's new answers differ from the top's, and what was to be thought.

    ``foretold`` is what their confidences meant before the exchange. ``labels_needed`` is about how
    many labels any test needs that alarms falsely once in as many as are remembered: the logarithm
    of that number over what a label tells (Lorden: *Procedures for reacting to a change in
    distribution*, 1971). It is infinite where nowhere more differ than was foretold.
    """

    foretold: float
    found: float
    labels_needed: float


def exchanged_answers(
    data: LabelledSet, device: TierModel, cache: Path, console: Console | None = None
) -> dict[Exchange, TierAnswers]:
    """Return what the models say that come in the place of the device's, by the kind of exchange.

    They are made of its bundle, in a folder for the time being. Raises ``BundleError`` as
    ``coarsen`` does.
    """
    with tempfile.TemporaryDirectory() as folder:
        coarser = coarsen(Bundle.open(device.model.source), Path(folder), bits=BITS)
        models = {
            "requantised": msgspec.structs.replace(device.model, source=str(coarser.folder)),
            "worse": msgspec.structs.replace(device.model, max_tokens=TOKENS),
        }
        tiers = [msgspec.structs.replace(device, model=models[name]) for name in EXCHANGES]
        filled = fill_matrix(data, tiers, cache, console)
    return dict(zip(EXCHANGES, filled.tiers, strict=True))


def follow(
    matrix: Matrix,
    after: TierAnswers | None,
    tolerance: float,
    seed: int,
    *,
    told: bool = False,
    throughout: bool = False,
) -> Course:
    """Replay an order of a set on which the device's answers are those of ``after`` from half-way.

    ``after`` is in the set's given order; None exchanges nothing. The tolerance is shared by the
    tiers below the top in equal parts. ``told`` lets the device's policy begin anew at the
    exchange; with ``throughout`` there is none, and ``after`` answers from the first prompt.
    """
    rows = order_rows(matrix.data, "shuffled", seed)
    ordered = matrix.take(rows)
    half = len(rows) // 2
    if after is not None:
        device = _then(ordered.tiers[0], after.take(rows), 0 if throughout else half)
        ordered = replace(ordered, tiers=(device, *ordered.tiers[1:]))
    below = len(ordered.tiers) - 1
    policy = Quality(tolerance=tolerance / below)
    alarms: list[list[int]] = [[] for _ in range(below)]

    def watch(row: int, tiers: Sequence[Tier]) -> None:
        if told and row == half - 1:
            tiers[0].begin_anew({})
        for tier, raised in zip(tiers, alarms, strict=False):
            if tier.report(_TASK).get("alarms_total", 0) > len(raised):
                raised.append(row)

    replayed = replay(ordered, [policy] * below + [KeepAll()], seed=seed, after=watch)
    differs = replayed.given(replayed.matrix.label_indexes) != ordered.tiers[-1].labels
    late = [row - half + 1 for row in alarms[0] if row >= half]
    return Course(
        float(differs.mean()),
        float(differs[half:].mean()),
        float(sent_bytes(replayed).per_prompt[half:].sum()),
        late[0] if late else None,
        sum(map(len, alarms)),
        int(replayed.seen[1:].sum()),
    )


def relation(matrix: Matrix, after: TierAnswers) -> Relation:
    """Say how far the new answers' confidences mean what they meant before, over the whole set."""
    before, top = matrix.tiers[0], matrix.tiers[-1]
    curve = ResponseCurve(memory=len(matrix.data))
    for confidence, differed in zip(
        before.routing.tolist(), before.labels != top.labels, strict=True
    ):
        curve.add(bin_of(confidence), bool(differed))
    for _ in range(_FITS):
        curve.fit()
    foretold = np.array([curve.probability(bin_of(c)) for c in after.routing.tolist()])
    differs = after.labels != top.labels
    groups = np.array_split(np.argsort(after.routing, kind="stable"), _GROUPS)
    told = sum(
        _information(float(differs[rows].mean()), float(foretold[rows].mean())) * len(rows)
        for rows in groups
    ) / len(differs)
    needed = math.log(Quality().window_prompts) / told if told else math.inf
    return Relation(float(foretold.mean()), float(differs.mean()), needed)


def _information(found: float, foretold: float) -> float:
    """Return what a label tells for a chance that is larger than foretold, in nats; else 0."""
    if found <= foretold:
        return 0.0
    if found == 1.0:
        return -math.log(foretold)
    return found * math.log(found / foretold) + (1 - found) * math.log((1 - found) / (1 - foretold))


def _then(before: TierAnswers, after: TierAnswers, place: int) -> TierAnswers:
    """Return one tier's answers up to a place and another's from there."""
    agreement = None
    if before.agreement is not None and after.agreement is not None:
        agreement = np.concatenate([before.agreement[:place], after.agreement[place:]])
    return TierAnswers(
        before.tier,
        np.concatenate([before.probabilities[:place], after.probabilities[place:]]),
        np.concatenate([before.elapsed_us[:place], after.elapsed_us[place:]]),
        agreement,
    )
