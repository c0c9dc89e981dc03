"""The worlds that a fleet is simulated in: drawn from a seed, and the same for every allocator.

Nodes differ in speed, link and memory; models in size, speed and how good they really are at each
kind of job, which the catalogue knows only roughly. Half-way the two fastest nodes become slower
and other kinds of job come. What happens to a job (how hard it is, how long it takes) is drawn with
it, so that two allocators that make the same choice see the same outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import numpy as np
from msgspec import Meta

from cloud_agent.center.catalogue.cards import Catalogue, ModelCard, quality_from_perplexity
from shared.settings.base import Closed, Count, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

KINDS: Final = ("emotion", "entities", "question", "translation", "summary")
TOKENS: Final = (24.0, 32.0, 40.0, 48.0, 128.0)
_GIB: Final = float(1 << 30)
_SIZES: Final = (1.4, 1.9, 2.8, 3.4, 4.4, 5.8)
_TOKEN_MS: Final = (20.0, 26.0, 42.0, 40.0, 48.0, 75.0)
_PERPLEXITIES: Final = (26.0, 21.8, 19.0, 16.2, 15.4, 15.3)
_LOADS_S: Final = (3.0, 4.0, 6.0, 7.0, 9.0, 13.0)
_MEMORIES: Final = (2.5, 3.5, 5.0, 7.0)
_SLOWDOWNS: Final = (0.6, 2.2)
_BANDWIDTHS: Final = (0.02, 0.2)
_RTTS_S: Final = (0.01, 0.2)
_NOISE: Final = 0.15
_SLOWER: Final = 2.5
_BEST: Final = 0.98
_WORST: Final = 0.02


class WorldSettings(Closed, frozen=True, kw_only=True):
    """What kind of world, before it is drawn."""

    nodes: Annotated[Count, Meta(description="nodes of the fleet")] = 6
    rounds: Annotated[Count, Meta(description="rounds of one episode")] = 600
    rounds_per_placement: Annotated[Count, Meta(description="rounds between placements")] = 20
    round_s: Annotated[Seconds, Meta(description="length of a round, in seconds")] = 4.0
    rate: Annotated[float, Meta(gt=0, le=1e4, description="mean jobs a round")] = 4.0
    prior_error: Annotated[
        float, Meta(ge=0, le=1, description="how far the catalogue is off, standard deviation")
    ] = 0.13
    prior_weight: Annotated[
        float, Meta(gt=0, le=1e6, description="answers that the catalogue counts as")
    ] = 6.0
    drift: Annotated[bool, Meta(description="whether the world changes half-way")] = True
    outages: Annotated[
        tuple[tuple[int, int, int], ...],
        Meta(description="nodes that die: the node's number, its first round dead and alive again"),
    ] = ()


class DrawnJob(NamedTuple):
    """A job as the world made it: what decides if an answer is right, and how long it takes."""

    id: str
    kind: str
    luck: float
    effort: float


class FleetWorld(NamedTuple):
    """One drawn world. Arrays over nodes, and over models and kinds, in the catalogue's order.

    ``slowdowns`` has a row before the change and one after it, at round ``changes_at``.
    """

    settings: WorldSettings
    catalogue: Catalogue
    nodes: tuple[str, ...]
    slowdowns: Floats
    bytes_per_s: Floats
    rtt_s: Floats
    memory_bytes: Floats
    quality: dict[tuple[str, str], float]
    arrivals: list[list[DrawnJob]]
    changes_at: int


def draw_world(settings: WorldSettings, seed: int, *, jobs: int = 0) -> FleetWorld:
    """Return the world of a seed; with other ``jobs`` the same fleet gets other jobs."""
    rng = np.random.default_rng([seed, 15])
    nodes = tuple(f"edge-{number + 1}" for number in range(settings.nodes))
    catalogue = _catalogue()
    slowdowns = np.exp(rng.uniform(np.log(_SLOWDOWNS[0]), np.log(_SLOWDOWNS[1]), settings.nodes))
    slower = slowdowns.copy()
    if settings.drift:
        slower[np.argsort(slowdowns)[:2]] *= _SLOWER
    error = rng.normal(0, settings.prior_error, (len(catalogue), len(KINDS)))
    quality = {
        (card.name, kind): float(np.clip(card.quality[kind] + error[m, k], _WORST, _BEST))
        for m, card in enumerate(catalogue)
        for k, kind in enumerate(KINDS)
    }
    mixes = rng.dirichlet(np.full(len(KINDS), 2.0), 2)
    if not settings.drift:
        mixes[1] = mixes[0]
    return FleetWorld(
        settings,
        catalogue,
        nodes,
        np.array([slowdowns, slower]),
        rng.uniform(*_BANDWIDTHS, settings.nodes) * _GIB,
        rng.uniform(*_RTTS_S, settings.nodes),
        rng.choice(_MEMORIES, settings.nodes) * _GIB,
        quality,
        _arrivals(settings, mixes, np.random.default_rng([seed, 16, jobs])),
        settings.rounds // 2,
    )


def _catalogue() -> Catalogue:
    cards = [
        ModelCard(
            name=f"model-{size}",
            size_bytes=size * _GIB,
            memory_bytes=size * _GIB,
            load_s=load_s,
            token_s=token_ms / 1000,
            quality=dict.fromkeys(KINDS, quality_from_perplexity(perplexity)),
        )
        for size, token_ms, perplexity, load_s in zip(
            _SIZES, _TOKEN_MS, _PERPLEXITIES, _LOADS_S, strict=True
        )
    ]
    return Catalogue(cards, dict(zip(KINDS, TOKENS, strict=True)))


def _arrivals(
    settings: WorldSettings, mixes: Floats, rng: np.random.Generator
) -> list[list[DrawnJob]]:
    rounds: list[list[DrawnJob]] = []
    for number, count in enumerate(rng.poisson(settings.rate, settings.rounds)):
        mix = mixes[int(number >= settings.rounds // 2)]
        kinds = rng.choice(len(KINDS), count, p=mix)
        luck, effort = rng.random(count), rng.normal(0, _NOISE, count)
        rounds.append(
            [
                DrawnJob(f"{number}-{i}", KINDS[kinds[i]], float(luck[i]), float(effort[i]))
                for i in range(count)
            ]
        )
    return rounds
