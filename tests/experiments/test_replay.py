from __future__ import annotations

import numpy as np
import pytest

from experiments.replay import replay
from shared.policies import Fixed, Keep, Pass, PolicySettings, Quantile, Random
from tests.experiments.matrices import random_matrix


def test_the_quantile_decides_prompt_for_prompt_as_numpy_does_over_every_prefix() -> None:
    matrix = random_matrix(300)

    replayed = replay(matrix, [Quantile(beta=0.3)] * 3)

    windows: list[list[float]] = [[], [], []]
    for row in range(300):
        here = 0
        while True:
            confidence = float(matrix.tiers[here].confidence[row])
            windows[here].append(confidence)
            threshold = np.quantile(windows[here], 0.3)
            assert replayed.threshold[here, row] == threshold
            if here == 2 or confidence >= threshold:
                break
            here += 1
        assert replayed.tier[row] == here
        assert replayed.seen[:, row].tolist() == [tier <= here for tier in range(3)]


def test_escalation_rates_come_near_beta() -> None:
    replayed = replay(random_matrix(5000), [Quantile(beta=0.4)] * 3)

    assert replayed.seen[1].mean() == pytest.approx(0.4, abs=0.02)
    assert replayed.seen[2].mean() == pytest.approx(0.16, abs=0.02)
    assert replayed.share.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("policies", "tier"),
    [
        ((Keep(), Keep(), Keep()), 0),
        ((Pass(), Keep(), Keep()), 1),
        ((Pass(), Pass(), Keep()), 2),
        ((Pass(up=2), Keep(), Keep()), 2),
        ((Pass(up=9), Keep(), Pass()), 2),
    ],
)
def test_policies_that_do_not_look_answer_all_in_one_tier(
    policies: tuple[PolicySettings, ...], tier: int
) -> None:
    matrix = random_matrix(50)

    replayed = replay(matrix, policies)

    assert (replayed.tier == tier).all()
    assert (replayed.right == matrix.right[tier]).all()
    assert (replayed.labels == matrix.tiers[tier].labels).all()


def test_a_tier_that_is_passed_over_neither_sees_nor_computes() -> None:
    matrix = random_matrix(50)

    replayed = replay(matrix, [Pass(up=2), Keep(), Keep()])

    assert not replayed.seen[1].any()
    assert np.isnan(replayed.threshold[1]).all()
    assert (replayed.compute_us[1] == 0).all()
    assert (replayed.compute_us[0] == matrix.tiers[0].elapsed_us).all()
    assert (replayed.compute_us[2] == matrix.tiers[2].elapsed_us).all()


def test_the_order_of_arrival_matters_to_a_window() -> None:
    matrix = random_matrix(200)
    rows = np.argsort(matrix.tiers[0].confidence).tolist()

    rising = replay(matrix.take(rows), [Quantile(beta=0.5)] * 3)

    assert (rising.tier == 0).all()


def test_equal_seeds_draw_equally() -> None:
    matrix, policies = random_matrix(200), [Random(share=0.5)] * 3

    first = replay(matrix, policies, seed=1)

    assert (first.tier == replay(matrix, policies, seed=1).tier).all()
    assert (first.tier != replay(matrix, policies, seed=2).tier).any()
    assert (first.seen[1][first.seen[1]] != first.seen[2][first.seen[1]]).any()


def test_policies_and_arrivals_must_match() -> None:
    matrix = random_matrix(5)

    with pytest.raises(ValueError, match="3 tiers need as many policies, not 2"):
        replay(matrix, [Fixed(threshold=0.5)] * 2)
    with pytest.raises(ValueError, match="5 prompts need as many arrivals, not 4"):
        replay(matrix, [Fixed(threshold=0.5)] * 3, arrivals_s=[0.0, 1.0, 2.0, 3.0])
