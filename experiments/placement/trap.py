"""The epistemic trap: a good choice that looks bad at first, and what information is worth there.

Arm X is right nine times in ten, and looks a little worse than arm Y, which is right six times in
ten and known to be. Who never tries X never learns. Arms are models on two nodes that are equal in
everything else, so the real allocator plays.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from cloud_agent.center.catalogue.cards import Catalogue, ModelCard
from cloud_agent.center.placement.allocators import (
    ActiveInference,
    AllocatorContext,
    make_allocator,
)
from cloud_agent.center.placement.beliefs import Beliefs, QualityBelief
from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode
from cloud_agent.center.placement.preferences import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAWS: Final = 300
WEIGHTS: Final = (0.0, 0.15, 0.5, 1.0, 2.0)
_KIND: Final = "question"


class Arm(NamedTuple):
    """A model: what is believed of it, as so many answers' worth, and how often it is right."""

    name: str
    prior: float
    prior_weight: float
    truth: float


ARMS: Final = (Arm("X", 0.55, 4.0, 0.9), Arm("Y", 0.6, 40.0, 0.6))


def found_better(epistemic: float, seed: int) -> bool:
    """Say whether more than half of the draws went to the better arm."""
    cards = [
        ModelCard(
            name=arm.name,
            size_bytes=1.0,
            memory_bytes=1.0,
            load_s=0.0,
            token_s=1e-6,
            quality={_KIND: arm.prior},
        )
        for arm in ARMS
    ]
    catalogue = Catalogue(cards, {_KIND: 1.0})
    beliefs = _Trapped(catalogue)
    luck = np.random.default_rng([seed, 15]).random((DRAWS, len(ARMS)))
    allocator = make_allocator(
        ActiveInference(epistemic=epistemic),
        AllocatorContext(catalogue, beliefs, Weighted(), random.Random(seed)),  # noqa: S311
    )
    candidates = [OpenNode(f"node-{arm.name}", arm.name, 0.0, 0.0) for arm in ARMS]
    better = 0
    for number in range(DRAWS):
        if max(better, number - better) > DRAWS / 2:  # decided
            break
        chosen = allocator.choose(FleetJob(str(number), _KIND, 0.0), candidates)
        right = luck[number, chosen] < ARMS[chosen].truth
        better += chosen == 0
        node, model = candidates[chosen].node, candidates[chosen].model
        beliefs.learn(JobOutcome(str(number), _KIND, node, model, float(right), 1.0, 1e-6, 1e-6))
    return better > DRAWS / 2


def finders(epistemic: float, seeds: Sequence[int]) -> list[bool]:
    """Say of each seed whether it ends up mostly on the better arm."""
    return [found_better(epistemic, seed) for seed in seeds]


def share_by_arithmetic(plays: int = 20_000, seed: int = 0) -> float:
    """Return the share that finds the better arm where information is worth nothing.

    Counted on two pairs of sums alone, without allocator, beliefs or forgetting: what the game
    itself leads to, for the share of the real allocator to be held against.
    """
    draw = np.random.default_rng(seed)
    weights = np.array([arm.prior_weight for arm in ARMS])
    right = np.repeat((weights * [arm.prior for arm in ARMS])[None], plays, axis=0)
    seen = np.repeat(weights[None], plays, axis=0)
    truth = np.array([arm.truth for arm in ARMS])
    rows, better = np.arange(plays), np.zeros(plays)
    for _ in range(DRAWS):
        chosen = np.argmax(right / seen, axis=1)
        right[rows, chosen] += draw.random(plays) < truth[chosen]
        seen[rows, chosen] += 1
        better += chosen == 0
    return float(np.mean(better > DRAWS / 2))


class _Trapped(Beliefs):
    """Beliefs whose priors weigh differently from arm to arm."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self._arms = {arm.name: QualityBelief(arm.prior, arm.prior_weight) for arm in ARMS}

    def quality(self, model: str, kind: str) -> QualityBelief:
        """Return the belief about an arm."""
        del kind
        return self._arms[model]
