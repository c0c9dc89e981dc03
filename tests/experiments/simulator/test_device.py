"""A device in simulated time before agents that are not there, or come later."""

from __future__ import annotations

import pytest

from shared.tasks.classify import Label
from tests.support.simulated_device import HEARTBEAT_S, PATIENCE_S, Edge, Place


def test_with_nobody_above_the_device_answers_when_its_patience_is_over() -> None:
    place = Place()
    place.ask()
    place.clock.run()

    ((at_s, result),) = place.results
    assert result.outcome == Label("own")
    assert result.degraded == "no agent above is alive"
    assert at_s == pytest.approx(PATIENCE_S, abs=0.01)


def test_what_waits_goes_up_as_soon_as_an_agent_appears() -> None:
    place = Place()
    edge = Edge(place)
    place.ask()
    place.clock.at(2.0, edge.announce)
    place.clock.run()

    ((at_s, result),) = place.results
    assert result.outcome == Label("better")
    assert at_s == edge.took_s[0] == 2.0


def test_what_waits_goes_up_as_soon_as_an_agent_that_was_dead_is_back() -> None:
    place = Place(listen_s=1000.0)
    edge = Edge(place)
    edge.announce()
    long_after_s = 4 * HEARTBEAT_S
    place.clock.at(long_after_s, place.ask)
    place.clock.at(long_after_s + 2.0, edge.announce)
    place.clock.run()

    ((at_s, result),) = place.results
    assert result.outcome == Label("better")
    assert at_s == long_after_s + 2.0


def test_a_heartbeat_of_who_is_there_already_makes_nothing_go_up_again() -> None:
    place = Place()
    edge = Edge(place)
    appeared: list[float] = []
    place.dispatcher.on_agent(lambda: appeared.append(place.clock.now_s))
    for beat in range(5):
        place.clock.at(beat * HEARTBEAT_S, edge.announce)
    place.clock.at(4.5 * HEARTBEAT_S, place.ask)
    place.clock.run()

    assert appeared == [0.0], "though the device has not looked at its statuses for long"
    assert len(edge.took_s) == 1
