"""The first prompts of an installation: whether the rate is held, and what that does to accuracy.

Three ways to begin. *Empty*, as published: the first confidence is its own threshold. *Expected*:
windows begin with stand-ins by the quantiles in the bundles. *Restarted*: windows go on with what
they held, as they do where there is a state folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from experiments.datasets.sets import order_rows
from experiments.evaluation.offline import replay
from shared.cascade.policies import KeepAll, Quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.datasets.sets import Order
    from experiments.evaluation.matrix import Matrix
    from shared.cascade.policies import PolicySettings

Beginning = Literal["empty", "expected", "restarted"]
BEGINNINGS: Final[tuple[Beginning, ...]] = ("empty", "expected", "restarted")
ORDERS: Final[tuple[Order, ...]] = ("shuffled", "by_label")
FIRST: Final = (20, 50, 200)
_BEFORE: Final = 500
"""Prompts of the life before a restart; all of one order, as the first prompts after it are."""


class Start(NamedTuple):
    """What the first prompts came to, over all seeds.

    ``escalated`` is the device's mean share, ``off`` the root of its mean squared distance from β,
    ``accuracy`` that of the final answers with ``error``, half of its 95 % interval over the seeds.
    """

    first: int
    escalated: float
    off: float
    accuracy: float
    error: float


def cold_start(
    matrix: Matrix,
    expected: Sequence[Sequence[float]],
    beginning: Beginning,
    *,
    beta: float,
    order: Order,
    prior_prompts: int | None = None,
    seeds: int = 100,
) -> list[Start]:
    """Replay the first prompts of as many orders; ``expected`` holds each tier's quantiles.

    ``prior_prompts`` is that of the policy if None.
    """
    policy = Quantile(beta=beta)
    if prior_prompts is not None:
        policy = Quantile(beta=beta, prior_prompts=prior_prompts)
    before = _BEFORE if beginning == "restarted" else 0
    escalated, right = [], []
    for seed in range(seeds):
        rows = order_rows(matrix.data, order, seed)
        rows = rows[max(0, seed * 37 % max(1, len(rows) - before - FIRST[-1])) :]
        taken = matrix.take(rows[: before + FIRST[-1]])
        policies: list[PolicySettings] = [policy] * (len(taken.tiers) - 1)
        replayed = replay(
            taken,
            [*policies, KeepAll()],
            expected=expected if beginning == "expected" else (),
            seed=seed,
        )
        escalated.append(replayed.tier[before:] > 0)
        right.append(replayed.right[before:])
    return [_start(first, np.array(escalated), np.array(right), beta) for first in FIRST]


def _start(
    first: int, escalated: NDArray[np.bool_], right: NDArray[np.bool_], beta: float
) -> Start:
    rates = escalated[:, :first].mean(axis=1)
    accuracies = right[:, :first].mean(axis=1)
    error = 1.96 * accuracies.std(ddof=1) / len(accuracies) ** 0.5
    return Start(
        first,
        float(rates.mean()),
        float(np.sqrt(((rates - beta) ** 2).mean())),
        float(accuracies.mean()),
        float(error),
    )
