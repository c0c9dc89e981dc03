"""The way up in simulated time: whose statuses are heard when, and who is preferred."""

from __future__ import annotations

from shared.membership.breaker import FAILURES
from shared.protocol.evidence import Credit, Doubt
from tests.support.simulated_device import HEARTBEAT_S, Edge, Place


def two_edges() -> tuple[Place, Edge, Edge]:
    """Two agents that have announced themselves again since the device last looked."""
    place = Place()
    edges = Edge(place, "edge-1"), Edge(place, "edge-2")
    for edge in edges:
        edge.announce()
        place.clock.at(HEARTBEAT_S, edge.announce)
    place.clock.run()
    return place, *edges


def ask_in_turn(place: Place, prompts: int) -> None:
    for number in range(1, prompts + 1):
        place.ask(number)
        place.clock.run(place.clock.now_s + 0.1)


def test_a_status_from_before_does_not_undo_a_doubt() -> None:
    place, doubted, other = two_edges()

    place.dispatcher.heed(Doubt("edge-1", stopped=False))
    ask_in_turn(place, 10)

    assert (len(doubted.took_s), len(other.took_s)) == (0, 10)


def test_silence_is_no_failure_of_an_agent_whose_heartbeat_came_in_time() -> None:
    place, *_ = two_edges()
    place.clock.run(1.6 * HEARTBEAT_S)

    for _ in range(FAILURES):
        place.dispatcher.heed(Doubt("edge-1", stopped=False))

    (roster,) = place.dispatcher.choice.rosters
    assert roster.count_open_breakers() == 0


def test_an_agent_that_answers_is_doubted_no_more() -> None:
    place, doubted, _ = two_edges()
    place.dispatcher.heed(Doubt("edge-1", stopped=False))

    place.dispatcher.heed(Credit(("edge-1",)))
    ask_in_turn(place, 10)

    assert doubted.took_s


def test_a_status_costs_the_broker_a_copy_for_each_device_that_has_something_up_there() -> None:
    place, *_ = two_edges()
    place.clock.run(2 * HEARTBEAT_S)
    assert place.board.listening["edge"] == 0

    place.ask()
    place.clock.run(2 * HEARTBEAT_S + 1.0)
    assert place.board.listening["edge"] == 1

    place.clock.run(3 * HEARTBEAT_S)
    assert place.board.listening["edge"] == 0


def test_while_nobody_listens_agents_stay_known_and_are_heard_once_a_prompt_goes_up() -> None:
    place, first, second = two_edges()
    place.clock.run(100 * HEARTBEAT_S)
    first.announce()
    second.announce()

    ask_in_turn(place, 10)

    assert (len(first.took_s) + len(second.took_s)) == 10
