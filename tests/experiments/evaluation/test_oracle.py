from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from experiments.evaluation.burden import paper_bytes, paper_hops, sent_bytes
from experiments.evaluation.offline import replay
from experiments.evaluation.oracle import oracle
from shared.cascade.policies import Fixed, KeepAll, PassAll, PolicySettings, Quantile, Random
from tests.support.matrices import random_matrix, straight_costs

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.evaluation.burden import Burden
    from experiments.evaluation.offline import Replay


POLICIES: list[list[PolicySettings]] = [
    [Quantile(beta=0.3)] * 3,
    [Quantile(beta=0.7)] * 3,
    [Fixed(threshold=0.8)] * 3,
    [Random(share=0.5)] * 3,
    [PassAll(), PassAll(), KeepAll()],
    [PassAll(up=2), KeepAll(), KeepAll()],
]


def brute(right: np.ndarray, costs: np.ndarray) -> dict[float, int]:
    """The most right answers at each total cost, over every way to route every prompt."""
    tiers, prompts = right.shape
    best: dict[float, int] = {}
    for route in itertools.product(range(tiers), repeat=prompts):
        picked = (list(route), list(range(prompts)))
        cost, hits = float(costs[picked].sum()), int(right[picked].sum())
        best[cost] = max(best.get(cost, 0), hits)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_no_routing_beats_the_oracle_and_one_reaches_it(seed: int) -> None:
    draw = np.random.default_rng(seed)
    right = draw.random((3, 6)) < 0.6
    costs = np.cumsum(draw.integers(0, 5, (3, 6)), axis=0).astype(np.float64)

    curve = oracle(right, costs)

    best = brute(right, costs)
    for cost in best:
        reachable = max(hits for other, hits in best.items() if other <= cost)
        assert curve.at(cost / 6) == pytest.approx(reachable / 6)
    for burden, accuracy in zip(curve.burden, curve.accuracy, strict=True):
        assert best[round(burden * 6)] == round(accuracy * 6)


def test_the_bound_begins_with_what_is_free_and_ends_with_all_that_anyone_knows() -> None:
    matrix = random_matrix(300)

    curve = oracle(matrix.right, straight_costs(matrix, paper_hops))

    assert curve.burden[0] == 0.0
    assert curve.accuracy[0] == pytest.approx(matrix.right[0].mean())
    assert curve.accuracy[-1] == pytest.approx(matrix.right.any(axis=0).mean())
    assert math.isnan(curve.at(-0.1))


@pytest.mark.parametrize("accounting", [paper_hops, paper_bytes, sent_bytes])
def test_every_policy_lies_on_or_below_the_bound(
    accounting: Callable[[Replay[Any]], Burden],
) -> None:
    matrix = random_matrix(400)
    curve = oracle(matrix.right, straight_costs(matrix, accounting))

    for policies in POLICIES:
        replayed = replay(matrix, policies)
        burden = accounting(replayed).per_prompt.mean()
        assert replayed.right.mean() <= curve.at(burden) + 1e-12
