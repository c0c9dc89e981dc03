"""Comparisons that the results page makes, each a function from runs to numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.evaluation.burden import paper_hops
from experiments.evaluation.equal_accuracy import PairedSample, Saving, saving
from experiments.evaluation.statistics import resampled
from shared.telemetry.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from experiments.evaluation.evaluate import PolicyRun, SetResult
    from experiments.evaluation.offline import Replay
    from experiments.evaluation.text_study import TextResult

    Floats = NDArray[np.float64]
    Cost = Callable[[Replay[Any]], Floats]


class SettingsCurve(NamedTuple):
    """A policy's settings, and what each had right and cost, prompt by prompt."""

    parameters: list[dict[str, Any]]
    sample: PairedSample


class Gain(NamedTuple):
    """How much more accurate the reference is than another policy at the same burden."""

    burden: float
    reference: float
    other: float
    interval: Interval

    @property
    def difference(self) -> float:
        """Accuracy of the reference less that of the other."""
        return self.reference - self.other


def hops(replay: Replay[Any]) -> Floats:
    """Return how often each prompt was sent: the paper's unit; shape (n,)."""
    sent: Floats = replay.seen.sum(axis=0) - 1.0
    return sent


def weighted(weights: Sequence[float]) -> Cost:
    """Return a cost: one unit for each link that a prompt crosses, at that link's weight."""

    def cost(replay: Replay[Any]) -> Floats:
        total: Floats = (np.asarray(weights)[:, None] * paper_hops(replay).up).sum(axis=0)
        return total

    return cost


def curve(result: SetResult | TextResult, policy: str, cost: Cost) -> SettingsCurve:
    """Return a policy's curve on a set, its orders averaged prompt by prompt."""
    settings: dict[str, list[PolicyRun]] = {}
    for run in result.runs:
        if run.candidate.name == policy:
            settings.setdefault(repr(run.candidate.parameters), []).append(run)
    if not settings:
        raise ValueError(f"the study has no policy called {policy!r}")
    groups = list(settings.values())
    right = [np.mean([_given(run, run.replay.right) for run in same], axis=0) for same in groups]
    costs = [np.mean([_given(run, cost(run.replay)) for run in same], axis=0) for same in groups]
    parameters = [same[0].candidate.parameters for same in groups]
    return SettingsCurve(parameters, PairedSample(np.stack(right), np.stack(costs)))


def saved_by(
    result: SetResult | TextResult, contender: str, reference: str, beta: float, cost: Cost
) -> Saving:
    """Return what the contender saves at the accuracy that the reference has at β."""
    base = curve(result, reference, cost)
    return saving(base.sample, setting(base, beta), curve(result, contender, cost).sample)


def gain_over(
    result: SetResult, other: str, reference: str, beta: float, draws: int = 1000
) -> Gain:
    """Return how much the reference at β gains over another policy at the same hops."""
    base, contender = curve(result, reference, hops), curve(result, other, hops)
    row, prompts = setting(base, beta), base.sample.right.shape[1]
    weights = np.concatenate([np.ones((1, prompts)), resampled(prompts, draws, 0)]) / prompts
    accuracy, burden = weights @ base.sample.right[row], weights @ base.sample.cost[row]
    others, costs = weights @ contender.sample.right.T, weights @ contender.sample.cost.T
    at_equal = np.array([_read(c, a, b) for c, a, b in zip(costs, others, burden, strict=True)])
    low, high = np.quantile(accuracy[1:] - at_equal[1:], [0.025, 0.975])
    return Gain(
        float(burden[0]), float(accuracy[0]), float(at_equal[0]), Interval(float(low), float(high))
    )


def setting(found: SettingsCurve, beta: float) -> int:
    """Return where in a curve β has this value."""
    return next(i for i, p in enumerate(found.parameters) if p.get("beta") == beta)


def _read(costs: Floats, accuracies: Floats, burden: float) -> float:
    order = np.argsort(costs)
    return float(np.interp(burden, costs[order], accuracies[order]))


def _given(run: PolicyRun, values: NDArray[Any]) -> Floats:
    """Return values in the set's own order, so that orders and policies can be paired."""
    given = np.empty(len(values), np.float64)
    given[run.rows] = values
    return given
