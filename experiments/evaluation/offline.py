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
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shared.cascade.policies import Feedback, Observation, PolicySettings, Routing
from shared.cascade.tier import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from experiments.evaluation.matrix import Matrix
    from shared.tasks import Task

_TASK: Final[Task] = "classify"


@dataclass(frozen=True, eq=False)
class Replay:
    """What became of the n prompts of a matrix.

    ``tier`` has shape (n,): the index of the tier that answered. ``threshold`` has shape
    (tiers, n): what the confidence was held against, NaN where the tier did not see the prompt.
    ``learns`` says which tiers learn from what comes back.
    """

    matrix: Matrix
    tier: NDArray[np.int64]
    threshold: NDArray[np.float64]
    learns: tuple[bool, ...]

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Whether a tier's model ran on a prompt; shape (tiers, n)."""
        seen: NDArray[np.bool_] = ~np.isnan(self.threshold)
        return seen

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the answer that was given is the true one; shape (n,)."""
        right: NDArray[np.bool_] = self.matrix.right[self.tier, np.arange(len(self.tier))]
        return right

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Index of the label that was given; shape (n,)."""
        labels = np.stack([tier.labels for tier in self.matrix.tiers])
        given: NDArray[np.int64] = labels[self.tier, np.arange(len(self.tier))]
        return given

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
    matrix: Matrix,
    policies: Sequence[PolicySettings],
    *,
    arrivals_s: Sequence[float] | None = None,
    expected: Sequence[Sequence[float]] = (),
    seed: int = 0,
    after: Callable[[int, Sequence[Tier]], None] | None = None,
) -> Replay:
    """Replay the matrix in its order with one policy per tier, the lowest first.

    ``arrivals_s`` says when each prompt arrives, ascending; one a second when it is None.
    ``expected`` holds quantiles of each tier's confidences from which windows begin; without any
    they begin empty, as published. ``seed`` fixes the draws of policies that make any. ``after`` is
    called with each row and the tiers when they have learned of it; it may look, or exchange what
    an agent may. Raises ``ValueError`` when policies or arrivals do not match the tiers or the
    prompts.
    """
    names = [tier.tier for tier in matrix.tiers]
    prompts = len(matrix.data)
    if len(policies) != len(names):
        raise ValueError(f"{len(names)} tiers need as many policies, not {len(policies)}")
    if arrivals_s is None:
        arrivals_s = range(prompts)
    if len(arrivals_s) != prompts:
        raise ValueError(f"{prompts} prompts need as many arrivals, not {len(arrivals_s)}")
    tiers = [
        Tier(
            name,
            policy,
            names[index + 1 :],
            seed=seed + index,
            expected={_TASK: expected[index]} if expected else None,
        )
        for index, (name, policy) in enumerate(zip(names, policies, strict=True))
    ]
    answered, thresholds = _run(matrix, tiers, arrivals_s, after)
    return Replay(
        matrix, np.array(answered), np.array(thresholds), tuple(tier.learns for tier in tiers)
    )


class _Sent(NamedTuple):
    tier: int
    seen: Observation
    verdict: Routing


def _run(
    matrix: Matrix,
    tiers: Sequence[Tier],
    arrivals_s: Sequence[float],
    after: Callable[[int, Sequence[Tier]], None] | None,
) -> tuple[list[int], list[list[float]]]:
    """Return who answered each prompt, and each tier's threshold for it; NaN if it saw it not.

    Plain lists and bound methods: this loop runs a hundred thousand times for one point of a plot.
    """
    judges = [tier.route for tier in tiers]
    confidence = [tier.routing.tolist() for tier in matrix.tiers]
    labels = [_labels_foretold(matrix, index) for index in range(len(tiers))]
    texts = matrix.data.texts
    thresholds = [[math.nan] * len(arrivals_s) for _ in tiers]
    answered = []
    learn = _learner(matrix, tiers)
    for row, (at_s, size) in enumerate(zip(arrivals_s, matrix.prompt_bytes.tolist(), strict=True)):
        here = 0
        sent: list[_Sent] = []
        while True:
            seen = Observation(confidence[here][row], at_s, size, texts[row], labels[here][row])
            verdict = judges[here](_TASK, seen)
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


def _labels_foretold(matrix: Matrix, index: int) -> list[str]:
    """Return the labels that a tier's head foretells; empty ones where the tier has no head."""
    tier, names = matrix.tiers[index], matrix.data.label_names
    if tier.agreement is None:
        return [""] * len(matrix.data)
    return [names[label] for label in tier.labels.tolist()]


def _learner(
    matrix: Matrix, tiers: Sequence[Tier]
) -> Callable[[int, int, Sequence[_Sent]], None] | None:
    """Return what tells the policies how a prompt ended; None when no policy wants to know.

    The result reaches the origin, and a copy of it whoever sent the prompt to the tier that
    answered; tiers between those two hear nothing.
    """
    if not any(tier.learns for tier in tiers):
        return None
    names = matrix.data.label_names
    labels = [tier.labels.tolist() for tier in matrix.tiers]
    confidence = [tier.routing.tolist() for tier in matrix.tiers]

    def learn(row: int, top: int, sent: Sequence[_Sent]) -> None:
        for below in sent[:1] if len(sent) == 1 else (sent[0], sent[-1]):
            tier = tiers[below.tier]
            if tier.learns:
                agreed = labels[below.tier][row] == labels[top][row]
                final = names[labels[top][row]]
                returned = Feedback(agreed, confidence[top][row], top - below.tier, final)
                tier.feed_back(_TASK, below.seen, below.verdict, returned)

    return learn
