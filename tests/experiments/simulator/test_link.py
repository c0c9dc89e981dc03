"""Delay, bandwidth and loss of a line."""

from __future__ import annotations

import random
import statistics

import pytest

from experiments.simulator.clock import SimulatedClock
from experiments.simulator.link import Link, LinkFacts


def arrivals(facts: LinkFacts, sizes: list[int], seed: int = 0) -> list[float]:
    """Send messages at once; return when each arrives."""
    clock, times = SimulatedClock(), []
    line = Link(clock, facts, random.Random(seed))
    for size in sizes:
        line.send(size, lambda: times.append(clock.now_s))
    clock.run()
    return times


def test_a_message_takes_its_bytes_and_the_delay() -> None:
    assert arrivals(LinkFacts(delay_s=0.020, bytes_s=1000), [100]) == [pytest.approx(0.120)]


def test_messages_wait_for_the_bytes_before_them() -> None:
    times = arrivals(LinkFacts(delay_s=0.020, bytes_s=1000), [100, 100])

    assert times == [pytest.approx(0.120), pytest.approx(0.220)]


def test_without_a_limit_only_the_delay_counts() -> None:
    assert arrivals(LinkFacts(delay_s=0.020), [100, 100_000]) == [0.020, 0.020]


def test_a_lost_packet_comes_later_and_nothing_overtakes_it() -> None:
    times = arrivals(LinkFacts(delay_s=0.010, loss=0.5), [100] * 200)

    assert times == sorted(times)
    assert min(times) >= 0.010
    assert max(times) >= 0.210, "half are sent again, after 200 ms at the least"


def test_losses_cost_what_their_share_says() -> None:
    """Of messages far apart, a tenth waits 0.2 s, a hundredth 0.4 s on top, and so on."""
    clock, late_s = SimulatedClock(), []
    line = Link(clock, LinkFacts(delay_s=0.010, loss=0.1), random.Random(3))

    def send() -> None:
        begin_s = clock.now_s
        line.send(10, lambda: late_s.append(clock.now_s - begin_s - 0.010))

    for number in range(20_000):
        clock.at(number * 60.0, send)
    clock.run()

    expected_s = sum(0.1**count * 0.2 * 2 ** (count - 1) for count in range(1, 10))
    assert statistics.fmean(late_s) == pytest.approx(expected_s, rel=0.06)
