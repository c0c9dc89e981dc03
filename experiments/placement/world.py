"""The worlds that a fleet is simulated in: drawn from a seed, and the same for every allocator.

Nodes differ in speed, link and memory; models in size, speed and how good they really are at each
kind of job, which the catalogue knows only roughly. Half-way the two fastest nodes become slower
and other kinds of job come. What happens to a job (how hard it is, how long it takes) is drawn with
it, so that two allocators that make the same choice see the same outcome. Every job has a text; in
some worlds it tells how hard the job is.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import numpy as np
from msgspec import Meta

from cloud_agent.center.catalogue.cards import Catalogue, ModelCard, quality_from_perplexity
from cloud_agent.center.placement.features import features_of
from experiments.datasets.bundled import read_prompts
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
_LONGER: Final = 0.2
"""Of what a text adds to the log odds, that much is added to the log of the time it takes."""
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
    telling: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="how much harder, and longer, a job is when its text looks a deviation "
            "harder; 0: its text tells nothing",
        ),
    ] = 0.0
    outages: Annotated[
        tuple[tuple[int, int, int], ...],
        Meta(description="nodes that die: the node's number, its first round dead and alive again"),
    ] = ()


class DrawnJob(NamedTuple):
    """A job as the world made it: what decides if an answer is right, and how long it takes.

    ``features`` are those of its text, and ``hardness`` what they add to the log odds of a wrong
    answer of the smallest model; the largest feels nothing of it.
    """

    id: str
    kind: str
    luck: float
    effort: float
    features: tuple[float, ...] = ()
    hardness: float = 0.0


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

    def is_right(self, model: str, job: DrawnJob) -> bool:
        """Say whether a model answers a job rightly."""
        quality = self.quality[model, job.kind]
        if job.hardness:
            names = [card.name for card in self.catalogue]
            felt = 1.0 - names.index(model) / (len(names) - 1)
            odds = quality / (1.0 - quality) * math.exp(-job.hardness * felt)
            quality = odds / (1.0 + odds)
        return job.luck < quality


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
        _with_texts(
            settings,
            _arrivals(settings, mixes, np.random.default_rng([seed, 16, jobs])),
            np.random.default_rng([seed, 17, jobs]),
        ),
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


def _with_texts(
    settings: WorldSettings, arrivals: list[list[DrawnJob]], rng: np.random.Generator
) -> list[list[DrawnJob]]:
    """Give every job the features of a text of ours, and what they tell in this world."""
    features, hardness = _texts()
    rounds = []
    for jobs in arrivals:
        drawn = rng.integers(len(features), size=len(jobs)).tolist()
        rounds.append(
            [
                job._replace(
                    features=(*features[text], math.log1p(TOKENS[KINDS.index(job.kind)])),
                    hardness=settings.telling * hardness[text],
                    effort=job.effort + settings.telling * _LONGER * hardness[text],
                )
                for job, text in zip(jobs, drawn, strict=True)
            ]
        )
    return rounds


@cache
def _texts() -> tuple[list[tuple[float, ...]], list[float]]:
    """Return the features of the remarks that come along, but their answers', and how hard each is.

    Hard is what has rare and long words, long sentences and much to say: the mean of those three in
    deviations, itself in deviations.
    """
    found = [features_of(prompt.text, 0.0) for prompt in read_prompts()]
    three = np.array([[each.vocabulary, each.syntax, each.information] for each in found])
    hard = ((three - three.mean(axis=0)) / three.std(axis=0)).mean(axis=1)
    return [tuple(each)[:-1] for each in found], (hard / hard.std()).tolist()
