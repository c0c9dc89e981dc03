"""The window's quantile is numpy's, to the last bit, whatever comes in."""

from __future__ import annotations

import math
import random
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cascade.threshold import QuantileWindow, WindowMemory, stand_ins

confidences = st.lists(st.floats(0, 1), min_size=1, max_size=60)
betas = st.floats(0, 1)


def stream(seed: int, length: int) -> list[float]:
    """Confidences with many ties: saturated ones, coarse ones and fine ones."""
    draw = random.Random(seed)
    makers = [
        lambda: 1.0,
        lambda: 0.9999999403953552,
        lambda: round(draw.random(), 2),
        lambda: draw.betavariate(8, 1),
    ]
    return [draw.choice(makers)() for _ in range(length)]


@pytest.mark.parametrize("window_prompts", [1, 2, 10, 500])
@pytest.mark.parametrize("beta", [0.1, 0.3, 1 / 3, 0.95])
def test_the_quantile_is_numpys_on_every_prefix(beta: float, window_prompts: int) -> None:
    window = QuantileWindow(beta, window_prompts)
    recent: deque[float] = deque(maxlen=window_prompts)

    for confidence in stream(seed=window_prompts, length=2_000):
        window.append(confidence)
        recent.append(confidence)
        assert window.quantile() == float(np.quantile(np.array(recent), beta))
        assert len(window) == len(recent)


@given(confidences, betas)
def test_the_quantile_is_numpys_on_anything(values: list[float], beta: float) -> None:
    window = QuantileWindow(beta)
    for value in values:
        window.append(value)
    assert window.quantile() == float(np.quantile(np.array(values), beta))


@given(confidences, betas, betas)
def test_a_larger_beta_never_gives_a_smaller_threshold(
    values: list[float], one: float, other: float
) -> None:
    window = QuantileWindow(0.5)
    for value in values:
        window.append(value)
    assert window.quantile(min(one, other)) <= window.quantile(max(one, other))


@given(confidences, betas)
def test_the_threshold_lies_between_the_least_and_the_most_sure(
    values: list[float], beta: float
) -> None:
    window = QuantileWindow(beta)
    for value in values:
        window.append(value)
    assert min(values) <= window.quantile() <= max(values)


@given(confidences, betas, st.integers(1, 20))
def test_only_the_last_k_count_and_no_more_are_kept(
    values: list[float], beta: float, window_prompts: int
) -> None:
    long, short = QuantileWindow(beta, window_prompts), QuantileWindow(beta, window_prompts)
    for value in values:
        long.append(value)
    for value in values[-window_prompts:]:
        short.append(value)
    assert len(long) == len(short) == len(long._sorted) == min(len(values), window_prompts)
    assert long.quantile() == short.quantile()


@given(confidences, st.floats(0, 1))
def test_below_and_equal_count_what_they_say(values: list[float], confidence: float) -> None:
    window = QuantileWindow(0.5)
    for value in values:
        window.append(value)
    assert window.below(confidence) == sum(value < confidence for value in values)
    assert window.equal(confidence) == sum(value == confidence for value in values)


def test_the_first_confidence_is_its_own_threshold() -> None:
    for beta in (0.0, 0.3, 1.0):
        window = QuantileWindow(beta)
        window.append(0.7)
        assert window.quantile() == 0.7


def test_an_empty_window_has_the_threshold_zero() -> None:
    assert QuantileWindow(0.3).quantile() == 0.0


def test_nan_is_refused_and_leaves_the_window_as_it_was() -> None:
    window = QuantileWindow(0.5, 2)
    window.append(0.25)
    window.append(0.75)
    with pytest.raises(ValueError, match="not NaN"):
        window.append(math.nan)
    assert (len(window), window.quantile()) == (2, 0.5)


@pytest.mark.parametrize("beta", [-0.1, 1.1, math.nan])
def test_a_beta_outside_0_to_1_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match="beta must lie in"):
        QuantileWindow(beta)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="window_prompts must be at least 1"):
        QuantileWindow(0.3, 0)


def test_the_cost_of_an_append_hardly_grows_with_the_window() -> None:
    """Counts comparisons, so that no clock is involved: log2(64) = 6 more for 64 times as many."""

    class Counted(float):
        compared = 0

        def __lt__(self, other: object) -> bool:
            Counted.compared += 1
            return float(self) < float(other)  # type: ignore[arg-type] # a float, as here

    def per_append(window_prompts: int) -> float:
        draw = random.Random(7)
        window = QuantileWindow(0.3, window_prompts)
        for _ in range(window_prompts):
            window.append(Counted(draw.random()))
        Counted.compared = 0
        for _ in range(1_000):
            window.append(Counted(draw.random()))
        return Counted.compared / 1_000

    small, large = per_append(256), per_append(256 * 64)

    assert large < 4 * small
    assert large < 100


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20).map(sorted), st.integers(1, 300))
def test_stand_ins_lie_as_the_quantiles_do(quantiles: list[float], count: int) -> None:
    values = sorted(stand_ins(quantiles, count))

    assert len(values) == count
    places = [(number + 0.5) / count for number in range(count)]
    steps = np.linspace(0, 1, len(quantiles))
    assert values == pytest.approx(np.interp(places, steps, quantiles))


def test_those_that_have_not_left_lie_as_evenly() -> None:
    leaving = stand_ins([0.0, 1.0], 64)

    for left in (48, 32, 16, 8):
        gaps = np.diff([0.0, *sorted(leaving[:left]), 1.0])
        assert gaps.max() <= 2.1 / left


def test_a_window_with_stand_ins_holds_its_first_confidence_against_them() -> None:
    expected = stand_ins([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 50)

    window = QuantileWindow(0.3, stand_ins=expected)
    window.append(0.52)

    assert window.quantile() == pytest.approx(0.65, abs=0.02)
    assert len(window) == 50


@pytest.mark.parametrize("count", [1, 7, 50, 400])
def test_real_confidences_take_the_place_of_stand_ins_one_for_one(count: int) -> None:
    window = QuantileWindow(0.3, 200, stand_ins(stream(1, 9), count))
    published = QuantileWindow(0.3, 200)

    for number, confidence in enumerate(stream(2, 600), start=1):
        window.append(confidence)
        published.append(confidence)
        assert len(window) == max(min(count, 200), min(number, 200))
        if number >= count:
            assert window.quantile() == published.quantile()


@given(confidences, betas, betas, st.integers(0, 40))
def test_stand_ins_keep_thresholds_in_the_order_of_beta(
    values: list[float], one: float, other: float, count: int
) -> None:
    window = QuantileWindow(0.5, stand_ins=stand_ins([0.2, 0.4, 0.9], count))
    for value in values:
        window.append(value)
    assert window.quantile(min(one, other)) <= window.quantile(max(one, other))


@pytest.mark.parametrize("appended", [0, 3, 30, 300])
def test_a_window_goes_on_from_what_another_remembered(appended: int) -> None:
    window = QuantileWindow(0.3, 100, stand_ins([0.5, 1.0], 20))
    for confidence in stream(3, appended):
        window.append(confidence)
    other = QuantileWindow(0.3, 100)
    other.recall(window.remember())

    for confidence in stream(4, 150):
        window.append(confidence)
        other.append(confidence)
        assert other.quantile() == window.quantile()


def test_a_smaller_window_takes_the_latest_of_what_is_remembered() -> None:
    small = QuantileWindow(0.0, 2)

    small.recall(WindowMemory((0.1, 0.8, 0.9)))

    assert (len(small), small.quantile(), small.quantile(1.0)) == (2, 0.8, 0.9)


def test_a_memory_with_nan_is_refused_and_changes_nothing() -> None:
    window = QuantileWindow(0.5)
    window.append(0.75)

    with pytest.raises(ValueError, match="not NaN"):
        window.recall(WindowMemory((0.1, math.nan)))

    assert window.quantile() == 0.75
