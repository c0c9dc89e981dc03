"""Does the budget policy keep to its budget? On steady, bursty and drifting arrivals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from experiments.datasets.sets import order_rows
from experiments.evaluation.arrivals import arrivals_s
from experiments.evaluation.offline import replay
from shared.cascade.policies import Budget, KeepAll

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.datasets.sets import Order
    from experiments.evaluation.arrivals import Process
    from experiments.evaluation.matrix import Matrix

Kind = Literal["stationary", "bursty", "drifting"]
KINDS: Final[dict[Kind, tuple[Order, Process]]] = {
    "stationary": ("shuffled", "poisson"),
    "bursty": ("shuffled", "bursty"),
    "drifting": ("by_label", "rising"),
}
SHARE: Final = 0.3
_RATE_PER_S: Final = 20.0
_PERIODS: Final = 4


class Spending(NamedTuple):
    """What periods spent, as shares of the budget.

    ``overall``, ``least`` and ``most`` are of the four whole periods; ``dearest`` is the most that
    any sliding period spent, wherever it begins.
    """

    kind: Kind
    overall: float
    least: float
    most: float
    dearest: float
    accuracy: float


def spend(matrix: Matrix, kind: Kind, seed: int = 0) -> Spending:
    """Give the lowest tier a budget of 30 % of the bytes that arrive, in four periods.

    The text of a prompt is what it costs; the tier above keeps everything.
    """
    order, process = KINDS[kind]
    ordered = matrix.take(order_rows(matrix.data, order, seed))
    prompts = len(ordered.data)
    times_s = arrivals_s(process, prompts, _RATE_PER_S, seed)
    period_s = times_s[-1] / _PERIODS * 0.999
    budget = SHARE * float(ordered.prompt_bytes.sum()) / _PERIODS
    policy = Budget(budget_bytes=budget, period_s=period_s, overhead_bytes=0.0)
    keep = [KeepAll()] * (len(ordered.tiers) - 1)
    replayed = replay(ordered, [policy, *keep], arrivals_s=times_s, seed=seed)
    sent = np.where(replayed.tier > 0, ordered.prompt_bytes, 0)
    period = (np.array(times_s) / period_s).astype(np.int64)
    spent = np.bincount(period, weights=sent, minlength=_PERIODS)[:_PERIODS] / budget
    return Spending(
        kind,
        float(spent.mean()),
        float(spent.min()),
        float(spent.max()),
        _dearest(np.array(times_s), sent, period_s) / budget,
        float(replayed.right.mean()),
    )


def _dearest(times_s: NDArray[np.float64], sent: NDArray[np.int64], period_s: float) -> float:
    """Return the most bytes sent in any period; such a period ends as a prompt is sent."""
    total = np.concatenate([[0], np.cumsum(sent)])
    before = total[np.searchsorted(times_s, times_s - period_s, side="right")]
    return float((total[1:] - before).max())
