"""Replay a set, prompt by prompt in order of arrival, through the decision that agents use.

The models have spoken already (``experiments.evaluation.matrix``), so a replay is only decisions:
one ``shared.cascade.tier.Tier`` per tier, one agent each. Leaves out queues and time in flight: a
prompt is answered, and learned from, before the next one arrives. What a replay put on the links is
in ``experiments.evaluation.burden``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from shared.cascade.policies import Feedback, Observation, PolicySettings, Routing
from shared.cascade.tier import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from experiments.evaluation.said import SaidByTiers

_Said = TypeVar("_Said", bound="SaidByTiers")


@dataclass(frozen=True, eq=False)
class Replay(Generic[_Said]):
    """What became of the n prompts of a matrix.

    ``tier`` has shape (n,): the index of the tier that answered. ``threshold`` has shape
    (tiers, n): what the confidence was held against, NaN where the tier did not see the prompt.
    ``learns`` says which tiers learn from what comes back.
    """

    matrix: _Said
    tier: NDArray[np.int64]
    threshold: NDArray[np.float64]
    learns: tuple[bool, ...]

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Whether a tier's model ran on a prompt; shape (tiers, n)."""
        seen: NDArray[np.bool_] = ~np.isnan(self.threshold)
        return seen

    @cached_property
    def right(self) -> NDArray[Any]:
        """How right the answer is that was given, as ``SaidByTiers.right`` has it; shape (n,)."""
        return self.given(self.matrix.right)

    def given(self, said: NDArray[Any]) -> NDArray[Any]:
        """Return the entry of whoever answered of something of shape (tiers, n); shape (n,)."""
        entries: NDArray[Any] = said[self.tier, np.arange(len(self.tier))]
        return entries

    @cached_property
    def compute_us(self) -> NDArray[np.int64]:
        """Time of each tier's model on each prompt, 0 where it did not run; shape (tiers, n)."""
        elapsed_us = np.stack([tier.elapsed_us for tier in self.matrix.tiers])
        compute_us: NDArray[np.int64] = np.where(self.seen, elapsed_us, 0)
        return compute_us

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of the prompts that each tier answered; shape (tiers,)."""
        counts = np.bincount(self.tier, minlength=len(self.matrix.tiers))
        share: NDArray[np.float64] = counts / len(self.tier)
        return share


def replay(
    matrix: _Said,
    policies: Sequence[PolicySettings],
    *,
    arrivals_s: Sequence[float] | None = None,
    expected: Sequence[Sequence[float]] = (),
    seed: int = 0,
    after: Callable[[int, Sequence[Tier]], None] | None = None,
) -> Replay[_Said]:
    """Replay the matrix in its order with one policy per tier, the lowest first.

    ``arrivals_s`` says when each prompt arrives, ascending; one a second when it is None.
    ``expected`` holds quantiles of each tier's confidences from which windows begin; without any
    they begin empty, as published. ``seed`` fixes the draws of policies that make any. ``after`` is
    called with each row and the tiers when they have learned of it; it may look, or exchange what
    an agent may. Raises ``ValueError`` when policies or arrivals do not match the tiers or the
    prompts.
    """
    prompts = len(matrix.texts)
    if arrivals_s is None:
        arrivals_s = range(prompts)
    if len(arrivals_s) != prompts:
        raise ValueError(f"{prompts} prompts need as many arrivals, not {len(arrivals_s)}")
    tiers = _tiers(matrix, policies, expected, seed)
    answered, thresholds = _run(matrix, tiers, arrivals_s, after)
    return Replay(
        matrix, np.array(answered), np.array(thresholds), tuple(tier.learns for tier in tiers)
    )


def _tiers(
    matrix: SaidByTiers,
    policies: Sequence[PolicySettings],
    expected: Sequence[Sequence[float]],
    seed: int,
) -> list[Tier]:
    names = [tier.tier for tier in matrix.tiers]
    if len(policies) != len(names):
        raise ValueError(f"{len(names)} tiers need as many policies, not {len(policies)}")
    return [
        Tier(
            name,
            policy,
            names[index + 1 :],
            seed=seed + index,
            expected={matrix.task: expected[index]} if expected else None,
        )
        for index, (name, policy) in enumerate(zip(names, policies, strict=True))
    ]


class _Sent(NamedTuple):
    tier: int
    seen: Observation
    verdict: Routing


def _run(
    matrix: SaidByTiers,
    tiers: Sequence[Tier],
    arrivals_s: Sequence[float],
    after: Callable[[int, Sequence[Tier]], None] | None,
) -> tuple[list[int], list[list[float]]]:
    """Return who answered each prompt, and each tier's threshold for it; NaN if it saw it not.

    Plain lists and bound methods: this loop runs a hundred thousand times for one point of a plot.
    """
    judges = [tier.route for tier in tiers]
    confidence = [tier.routing.tolist() for tier in matrix.tiers]
    foretold = [matrix.foretold(index) for index in range(len(tiers))]
    task, texts = matrix.task, matrix.texts
    thresholds = [[math.nan] * len(arrivals_s) for _ in tiers]
    answered = []
    learn = _learner(matrix, tiers)
    for row, (at_s, size) in enumerate(zip(arrivals_s, matrix.prompt_bytes.tolist(), strict=True)):
        here = 0
        sent: list[_Sent] = []
        while True:
            seen = Observation(confidence[here][row], at_s, size, texts[row], foretold[here][row])
            verdict = judges[here](task, seen)
            thresholds[here][row] = verdict.threshold
            if not verdict.up:
                break
            sent.append(_Sent(here, seen, verdict))
            here += verdict.up
        answered.append(here)
        if sent and learn:
            learn(row, here, sent)
        if after:
            after(row, tiers)
    return answered, thresholds


def _learner(
    matrix: SaidByTiers, tiers: Sequence[Tier]
) -> Callable[[int, int, Sequence[_Sent]], None] | None:
    """Return what tells the policies how a prompt ended; None when no policy wants to know.

    The result reaches the origin, and a copy of it whoever sent the prompt to the tier that
    answered; tiers between those two hear nothing.
    """
    if not any(tier.learns for tier in tiers):
        return None
    agreed = {
        (lower, upper): matrix.agreed(lower, upper).tolist()
        for upper in range(len(tiers))
        for lower in range(upper)
    }
    labels = [matrix.labels(index) for index in range(len(tiers))]
    confidence = [tier.routing.tolist() for tier in matrix.tiers]

    def learn(row: int, top: int, sent: Sequence[_Sent]) -> None:
        for below in sent[:1] if len(sent) == 1 else (sent[0], sent[-1]):
            tier = tiers[below.tier]
            if tier.learns:
                returned = Feedback(
                    agreed[below.tier, top][row],
                    confidence[top][row],
                    top - below.tier,
                    labels[top][row],
                )
                tier.feed_back(matrix.task, below.seen, below.verdict, returned)

    return learn
