"""Simulated time."""

from __future__ import annotations

from experiments.simulator.clock import SimulatedClock


def test_what_is_due_comes_in_order_of_time_and_then_of_saying() -> None:
    clock = SimulatedClock()
    seen: list[str] = []
    clock.at(2.0, seen.append, "late")
    clock.at(1.0, seen.append, "first of two")
    clock.at(1.0, seen.append, "second of two")

    clock.run()

    assert seen == ["first of two", "second of two", "late"]
    assert clock.now_s == 2.0


def test_time_stops_where_it_was_told_to_and_goes_on_from_there() -> None:
    clock = SimulatedClock()
    seen: list[str] = []
    clock.at(3.0, seen.append, "later")

    clock.run(until_s=2.0)
    assert (seen, clock.now_s) == ([], 2.0)

    clock.run()
    assert (seen, clock.now_s) == (["later"], 3.0)


def test_what_was_due_in_the_past_is_due_now() -> None:
    clock = SimulatedClock()
    times: list[float] = []
    clock.at(5.0, lambda: clock.at(1.0, lambda: times.append(clock.now_s)))

    clock.run()

    assert times == [5.0]
