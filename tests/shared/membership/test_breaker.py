"""The breaker is told the time: when it opens, for how long, and what closes it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.membership.breaker import FAILURES, JITTER, PAUSE_MAX_S, PAUSE_MIN_S, Breaker

LONGEST_S = PAUSE_MAX_S * (1 + JITTER)


class Steady(random.Random):
    """Draws no jitter, so that pauses can be told to the second."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


STEADY = Steady()


def opened(now_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now_s, STEADY)
    assert not breaker.closed
    return breaker


def fail_a_trial(breaker: Breaker, now_s: float) -> None:
    assert breaker.allows(now_s)
    breaker.sent(now_s)
    breaker.failed(now_s, STEADY)


def test_failures_in_a_row_open_it_and_it_says_so_once() -> None:
    breaker = Breaker()
    assert [breaker.failed(0.0, STEADY) for _ in range(FAILURES + 2)] == [
        *[False] * (FAILURES - 1),
        True,
        False,
        False,
    ]
    assert not breaker.allows(0.0)


def test_a_success_between_them_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.failed(0.0, STEADY)
        assert not breaker.succeeded(0.0), "it was closed before"
    assert breaker.allows(0.0)


def test_the_pause_doubles_with_each_failed_trial_up_to_its_longest() -> None:
    breaker, now_s, pauses = opened(), 0.0, []
    for _ in range(6):
        start_s = now_s
        while not breaker.allows(now_s):
            now_s += 0.5
        pauses.append(now_s - start_s)
        fail_a_trial(breaker, now_s)
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_the_pause_varies_so_that_devices_do_not_try_in_step() -> None:
    first_tries = set()
    for seed in range(50):
        breaker, draw = Breaker(), random.Random(seed)
        for _ in range(FAILURES):
            breaker.failed(0.0, draw)
        milliseconds = range(int(PAUSE_MIN_S * (1 + JITTER) * 1000) + 1)
        first_tries.add(next(ms for ms in milliseconds if breaker.allows(ms / 1000)))
    assert min(first_tries) >= PAUSE_MIN_S * (1 - JITTER) * 1000
    assert len(first_tries) > 40


def test_after_the_pause_one_prompt_goes_and_no_second_with_it() -> None:
    breaker = opened()
    breaker.sent(PAUSE_MIN_S)
    assert not breaker.allows(PAUSE_MIN_S)
    assert not breaker.allows(PAUSE_MIN_S + 1)


def test_a_trial_without_a_word_makes_room_for_another() -> None:
    breaker = opened()
    breaker.sent(PAUSE_MIN_S)
    assert breaker.allows(2 * PAUSE_MIN_S)


def test_a_trial_that_is_answered_closes_it_and_the_next_pause_is_the_first_again() -> None:
    breaker = opened()
    fail_a_trial(breaker, PAUSE_MIN_S)
    breaker.sent(100.0)
    assert breaker.succeeded(101.0)
    assert breaker.closed
    for _ in range(FAILURES):
        breaker.failed(200.0, STEADY)
    assert breaker.allows(200.0 + PAUSE_MIN_S)


def test_a_late_answer_ends_the_pause_but_closes_nothing() -> None:
    breaker = opened()
    assert not breaker.succeeded(1.0)
    assert breaker.allows(1.0)
    breaker.sent(1.0)
    assert not breaker.allows(1.1)


def test_failures_of_what_was_sent_before_do_not_prolong_the_pause() -> None:
    breaker = opened()
    for second in range(int(PAUSE_MIN_S)):
        assert not breaker.failed(float(second), STEADY)
    assert breaker.allows(PAUSE_MIN_S)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["send", "fail", "succeed", "wait"]),
        st.floats(0, 30, allow_nan=False),
    ),
    max_size=80,
)


@given(EVENTS, st.integers(0, 1000))
def test_whatever_happens_it_never_floods_and_never_shuts_an_agent_out_for_good(
    events: list[tuple[str, float]], seed: int
) -> None:
    breaker, draw, now_s = Breaker(), random.Random(seed), 0.0
    failures_in_a_row = 0
    for event, seconds in events:
        if event == "send" and breaker.allows(now_s):
            breaker.sent(now_s)
            assert breaker.closed or not breaker.allows(now_s), "one trial at a time"
        elif event == "fail":
            failures_in_a_row += 1
            breaker.failed(now_s, draw)
        elif event == "succeed":
            failures_in_a_row = 0
            breaker.succeeded(now_s)
        elif event == "wait":
            now_s += seconds
        assert failures_in_a_row < FAILURES or not breaker.closed
    assert breaker.allows(now_s + LONGEST_S)
    breaker.sent(now_s + LONGEST_S)
    breaker.succeeded(now_s + LONGEST_S)
    assert breaker.closed


@pytest.mark.parametrize("failures", range(FAILURES))
def test_fewer_failures_than_that_change_nothing(failures: int) -> None:
    breaker = Breaker()
    for _ in range(failures):
        breaker.failed(0.0, STEADY)
    assert breaker.closed
    assert breaker.allows(0.0)
