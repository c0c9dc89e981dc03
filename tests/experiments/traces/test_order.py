"""Times that cannot be right: told from the rows around them, named, and not waited for."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.traces.faults import Faults
from experiments.traces.order import LONGEST_SILENCE_S, in_order

FAR_S = 2.5e9
DAY_S = 86_400.0


def sorted_out(times: list[float]) -> tuple[list[float], list[str]]:
    """Return the times that are kept, and what is said of the others; lines count from 1."""
    faults = Faults("trace", skip=True)
    rows: Any = enumerate(times, 1)
    kept = [at_s for _, at_s in in_order(rows, lambda at_s: at_s, faults)]
    assert len(kept) + faults.count == len(times)
    return kept, faults.first


@pytest.mark.parametrize("place", [0, 1, 7, 12, 18, 19])
@pytest.mark.parametrize("far_s", [FAR_S, 400 * DAY_S])
def test_one_time_far_ahead_is_named_wherever_it_is(place: int, far_s: float) -> None:
    times = [float(second) for second in range(19)]
    kept, (said,) = sorted_out([*times[:place], far_s, *times[place:]])

    assert kept == times
    assert said.startswith(f"trace, line {place + 1}: comes ")


@pytest.mark.parametrize("place", [0, 6, 10])
def test_a_clock_an_hour_ahead_for_one_row_costs_that_row_alone(place: int) -> None:
    times = [float(second) for second in range(20)]
    kept, (said,) = sorted_out([*times[:place], 3_600.0, *times[place:]])

    assert kept == times
    assert f"line {place + 1}: comes up to" in said
    assert "after the rows below it; correct its time" in said


def test_a_clock_that_was_not_set_yet_costs_the_first_rows_alone() -> None:
    real = [1.7e9 + second for second in range(9)]

    kept, said = sorted_out([12.0, 14.0, *real])

    assert kept == real
    assert len(said) == 2
    assert "days before the rows below it" in said[0]


def test_a_stretch_far_ahead_is_left_out_whole() -> None:
    times = [float(second) for second in range(40)]
    stretch = [FAR_S + second for second in range(15)]

    kept, _ = sorted_out([*times[:20], *stretch, *times[20:]])

    assert kept == times


def test_a_silence_of_a_week_is_waited_for_and_one_of_two_months_is_not() -> None:
    first = [float(second) for second in range(9)]

    assert sorted_out([*first, 7 * DAY_S]) == ([*first, 7 * DAY_S], [])
    kept, (said,) = sorted_out([*first, 60 * DAY_S])
    assert kept == first
    assert "60.0 days after the row above it" in said
    assert "cut the trace in two" in said


def test_a_late_row_costs_itself_alone() -> None:
    kept, (said,) = sorted_out([0.0, 1.0, 5.0, 2.0, 6.0, 7.0, 8.0])

    assert kept == [0.0, 1.0, 5.0, 6.0, 7.0, 8.0]
    assert said == "trace, line 4: comes 3 s before the row above it; sort the trace"


@given(st.lists(st.floats(0, 1e6), max_size=60))
def test_what_is_in_order_is_kept_whole(times: list[float]) -> None:
    assert sorted_out(sorted(times)) == (sorted(times), [])


@given(st.lists(st.floats(0, 1e10), max_size=60))
def test_what_is_kept_ascends_without_a_long_silence(times: list[float]) -> None:
    kept, _ = sorted_out(times)

    assert kept == sorted(kept)
    assert all(b - a <= LONGEST_SILENCE_S for a, b in pairwise(kept))


def test_rows_a_little_out_of_order_cost_few() -> None:
    draw = random.Random(3)
    times = [second + draw.random() * 1.2 for second in range(2_000)]

    kept, _ = sorted_out(times)

    assert len(kept) > 1_900
