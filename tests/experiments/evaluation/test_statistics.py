from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from experiments.evaluation.statistics import (
    accuracy,
    agreement,
    auroc,
    bootstrap,
    macro_f1,
    reliability,
    risk_coverage,
)

DRAW = np.random.default_rng(7)
CASES = [
    (DRAW.integers(0, levels, prompts) / levels, DRAW.random(prompts) < 0.7)
    for prompts, levels in [(2, 2), (7, 3), (40, 5), (60, 1000), (60, 1)]
]


def test_accuracy_and_agreement_are_shares() -> None:
    assert accuracy(np.array([True, False, True, True])) == 0.75
    assert agreement(np.array([0, 1, 2]), np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_macro_f1_weighs_labels_alike() -> None:
    labels, truth = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])

    assert macro_f1(labels, truth) == pytest.approx((0.8 + 2 / 3) / 2)


def test_macro_f1_leaves_out_labels_that_never_occur_and_counts_missed_ones() -> None:
    assert macro_f1(np.array([5, 5]), np.array([5, 5])) == 1.0
    assert macro_f1(np.array([0, 0]), np.array([0, 1])) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize(("confidence", "right"), CASES)
def test_auroc_is_the_share_of_pairs_in_order(confidence: np.ndarray, right: np.ndarray) -> None:
    pairs = [
        1.0 if sure > unsure else 0.5 if sure == unsure else 0.0
        for sure, unsure in itertools.product(confidence[right], confidence[~right])
    ]

    expected = sum(pairs) / len(pairs) if pairs else math.nan

    assert auroc(confidence, right) == pytest.approx(expected, nan_ok=True)


def test_auroc_needs_right_and_wrong_answers() -> None:
    assert math.isnan(auroc(np.array([0.5, 0.6]), np.array([True, True])))


def test_the_risk_of_tied_confidences_is_its_mean_over_every_order() -> None:
    confidence = np.array([0.5, 0.9, 0.5, 0.5, 0.1])
    right = np.array([True, True, False, False, False])
    curves = []
    for order in itertools.permutations([0, 2, 3]):
        wrong = ~right[[1, *order, 4]]
        curves.append(np.cumsum(wrong) / np.arange(1, 6))

    curve = risk_coverage(confidence, right)

    assert curve.risk == pytest.approx(np.mean(curves, axis=0))
    assert curve.coverage == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve.area == pytest.approx(np.mean(curves))


@pytest.mark.parametrize(("confidence", "right"), CASES)
def test_reliability_counts_every_prompt_in_its_bin(
    confidence: np.ndarray, right: np.ndarray
) -> None:
    bins = reliability(confidence, right, bins=5)

    error = 0.0
    for index in range(5):
        low = -1.0 if index == 0 else index / 5
        inside = (confidence > low) & (confidence <= (index + 1) / 5)
        assert bins.prompts[index] == inside.sum()
        if inside.any():
            assert bins.confidence[index] == pytest.approx(confidence[inside].mean())
            assert bins.accuracy[index] == pytest.approx(right[inside].mean())
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
        else:
            assert math.isnan(bins.accuracy[index])
    assert bins.error == pytest.approx(error)


def test_the_bootstrap_agrees_with_resampling_row_by_row() -> None:
    draw = np.random.default_rng(3)
    right = np.stack([draw.random(400) < 0.8, draw.random(400) < 0.7])
    rows = draw.integers(0, 400, (4000, 400))
    slow = right[:, rows].mean(axis=2)

    fast = bootstrap(right, draws=4000, seed=1)

    for way in (0, 1):
        low, high = np.quantile(slow[way], [0.025, 0.975])
        assert fast.accuracy(way) == pytest.approx((low, high), abs=0.006)
    low, high = np.quantile(slow[0] - slow[1], [0.025, 0.975])
    assert fast.difference(0, 1) == pytest.approx((low, high), abs=0.008)


def test_equal_seeds_give_equal_intervals() -> None:
    right = np.array([[True, False, True, True] * 20])

    assert bootstrap(right, seed=1).accuracy(0) == bootstrap(right, seed=1).accuracy(0)


def test_differences_are_paired() -> None:
    right = np.array([[True, False] * 50])

    assert bootstrap(np.concatenate([right, right])).difference(0, 1) == (0.0, 0.0)
