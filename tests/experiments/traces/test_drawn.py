"""Arrivals that are drawn, and texts that are given to arrivals."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.traces import Arrival, read_trace
from experiments.traces.joining import Text, join
from shared.errors import DataError


def drawn(place: str, seed: int = 1) -> list[float]:
    return [arrival.at_s for arrival in read_trace(place, seed=seed).arrivals]


@given(
    st.sampled_from(["poisson:", "gamma:cv=3,", "gamma:cv=0.5,", "diurnal:period=20,"]),
    st.integers(0, 1_000),
)
def test_drawn_arrivals_ascend_within_their_span(kind: str, seed: int) -> None:
    times = drawn(f"{kind}rate=4,span=30", seed)
    assert times == sorted(times)
    assert all(0 <= at_s < 30 for at_s in times)
    assert drawn(f"{kind}rate=4,span=30", seed) == times


@pytest.mark.parametrize(("kind", "cv"), [("poisson:", 1.0), ("gamma:cv=3,", 3.0)])
def test_rate_and_burstiness_are_those_asked_for(kind: str, cv: float) -> None:
    times = drawn(f"{kind}rate=20,span=2000")
    gaps = [late - early for early, late in pairwise(times)]
    assert len(times) / 2000 == pytest.approx(20, rel=0.06)
    assert pstdev(gaps) / mean(gaps) == pytest.approx(cv, rel=0.08)


def test_a_day_has_a_busy_and_a_quiet_half() -> None:
    times = drawn("diurnal:rate=20,span=1000,period=1000,depth=0.9")
    busy = sum(at_s < 500 for at_s in times)
    assert len(times) == pytest.approx(20_000, rel=0.05)
    assert busy / len(times) == pytest.approx(0.5 + 0.9 / 3.1416, abs=0.02)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("poisson:speed=3", "no 'speed' here"),
        ("poisson:rate=fast", "not a number"),
        ("poisson:rate=0", "between 1e-06 and 1,000,000"),
        ("gamma:cv=nan", "cv must lie between 0.01 and 100"),
        ("diurnal:depth=2", "between 0 and 1"),
        ("diurnal:period=1e-308", "period must lie between"),
        ("poisson:rate=1e308", "rate must lie between"),
    ],
)
def test_bad_parameters_are_named(place: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_trace(place)


WORDS = [Text(" ".join(["word"] * count), str(count)) for count in (1, 5, 10, 50, 100)]


def test_a_text_has_about_the_length_that_was_asked_for() -> None:
    asked = [Arrival(at_s=at, input_tokens=length) for at, length in enumerate([7, 60, 1, 9_999])]
    given_ = [arrival.label for arrival in join(asked, WORDS, seed=1)]
    assert given_ == ["5", "50", "1", "100"]


def test_every_text_is_used_once_before_any_is_used_again() -> None:
    arrivals = [Arrival(at_s=at) for at in range(10)]
    labels = [arrival.label for arrival in join(arrivals, WORDS, seed=2)]
    assert sorted(labels[:5]) == sorted(labels[5:]) == sorted(text.label for text in WORDS)  # type: ignore[type-var]
    assert labels == [arrival.label for arrival in join(arrivals, WORDS, seed=2)]


def test_an_arrival_with_a_text_keeps_it() -> None:
    (kept,) = join([Arrival(at_s=0, text="mine", label="x")], WORDS, seed=1)
    assert (kept.text, kept.label) == ("mine", "x")
