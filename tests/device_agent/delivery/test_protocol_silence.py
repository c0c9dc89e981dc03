"""The device's protocol core when an agent above says nothing."""

from __future__ import annotations

from uuid import UUID

from device_agent.delivery.actions import (
    Send,
)
from shared.protocol.evidence import Doubt
from tests.support.deliveries import FAR_S, core, degraded, from_above, send_up, sends


def test_silence_is_answered_by_asking_again_whoever_has_the_prompt() -> None:
    delivery = core()
    item = send_up(delivery, 1, deadline_s=FAR_S)
    due_s = delivery.next_due_s()
    assert due_s is not None
    assert 0.5 <= due_s <= 1.0
    assert delivery.tick(due_s - 0.001) == []
    assert delivery.tick(due_s) == [Send(item, to="edge-1", tried=frozenset({"edge-1"}))]


def test_one_that_says_nothing_to_that_is_doubted_and_another_asked_in_ever_longer_intervals() -> (
    None
):
    delivery = core()
    item = send_up(delivery, 1, deadline_s=FAR_S)
    now_s, waits_s, asked = 0.0, [], ["edge-1"]
    for number in range(2, 7):
        for again in (True, False):
            next_s = delivery.next_due_s()
            assert next_s is not None
            waits_s.append(next_s - now_s)
            now_s = next_s
            if again:
                (send,) = delivery.tick(now_s)
                assert isinstance(send, Send)
                assert send.to == asked[-1]
                delivery.sent(item.prompt.id, asked[-1], now_s)
            else:
                doubt, send = delivery.tick(now_s)
                assert doubt == Doubt(asked[-1], stopped=False)
                assert send == Send(item, tried=frozenset(asked))
                asked.append(f"edge-{number}")
                delivery.sent(item.prompt.id, asked[-1], now_s)

    for wait_s, silence_s in zip(waits_s, [1, 1, 2, 1, 4, 1, 8, 1, 8, 1], strict=True):
        assert silence_s / 2 <= wait_s <= silence_s


def test_one_that_says_it_works_is_waited_for_and_nobody_is_blamed() -> None:
    delivery = core()
    item = send_up(delivery, 1, deadline_s=FAR_S)
    now_s, repeats = 0.0, 0
    while now_s < 100:
        next_s = delivery.next_due_s()
        assert next_s is not None
        now_s = next_s
        (send,) = delivery.tick(now_s)
        assert isinstance(send, Send)
        assert send.to == "edge-1"
        delivery.sent(item.prompt.id, "edge-1", now_s)
        assert delivery.working(item.prompt.id, "edge-1", now_s + 0.01) == []
        repeats += 1
    assert repeats < 30, "each silence is longer than the one before, up to the longest"


def test_one_that_said_it_works_and_then_stops_saying_so_has_failed() -> None:
    delivery = core()
    item = send_up(delivery, 1, deadline_s=FAR_S)
    delivery.tick(1.0)
    delivery.sent(item.prompt.id, "edge-1", 1.0)
    delivery.working(item.prompt.id, "edge-1", 1.1)
    delivery.tick(5.0)
    delivery.sent(item.prompt.id, "edge-1", 5.0)

    assert delivery.tick(6.0)[0] == Doubt("edge-1", stopped=True)


def test_what_an_answer_takes_is_learned_also_from_a_prompt_that_was_repeated() -> None:
    delivery = core()
    for number in range(20):
        item = send_up(delivery, number, deadline_s=FAR_S)
        delivery.tick(1.0)
        delivery.sent(item.prompt.id, "edge-1", 1.0)
        delivery.working(item.prompt.id, "edge-1", 1.1)
        delivery.came(from_above(number), 3.0)
        delivery.resolved(item.prompt.id)
    send_up(delivery, 99, now_s=10.0, deadline_s=FAR_S)
    assert delivery.tick(12.99) == [], "twice three seconds, less half of that at most"
    assert len(delivery.tick(16.0)) == 1


def test_the_first_silence_is_twice_what_answers_take() -> None:
    delivery = core()
    for number in range(20):
        send_up(delivery, number, deadline_s=FAR_S)
        delivery.came(from_above(number), 1.5)
        delivery.resolved(UUID(int=number))
    send_up(delivery, 99, now_s=10.0, deadline_s=FAR_S)
    assert delivery.tick(11.49) == []
    assert len(delivery.tick(13.0)) == 1


def test_an_agent_is_asked_again_with_the_patience_that_its_word_takes_to_come() -> None:
    delivery = core()
    for number in range(20):
        item = send_up(delivery, number, deadline_s=FAR_S)
        delivery.tick(1.0)
        delivery.sent(item.prompt.id, "edge-1", 1.0)
        delivery.working(item.prompt.id, "edge-1", 3.0)
        delivery.withdraw(item.prompt.id)
    item = send_up(delivery, 99, now_s=10.0, deadline_s=FAR_S)
    delivery.tick(11.0)
    delivery.sent(item.prompt.id, "edge-1", 11.0)
    assert delivery.tick(12.99) == [], "its word takes two seconds on this line"
    assert delivery.tick(15.0)[0] == Doubt("edge-1", stopped=False)


def test_no_more_repeats_are_under_way_than_allowed() -> None:
    delivery = core()
    items = [send_up(delivery, number, deadline_s=FAR_S) for number in range(10)]
    delivery.rearm(0.5)

    first = delivery.tick(0.5)
    assert [send.escalated for send in sends(first)] == items[:3]
    for item in items[:3]:
        delivery.sent(item.prompt.id, "edge-1", 0.5)
    after_one_answer = delivery.came(from_above(0), 0.6)
    assert [send.escalated for send in sends(after_one_answer)] == [items[3]]
    after_one_word = delivery.working(items[1].prompt.id, "edge-1", 0.6)
    assert [send.escalated for send in sends(after_one_word)] == [items[4]]


def test_one_that_stays_silent_gives_its_place_to_the_next() -> None:
    delivery = core()
    items = [send_up(delivery, number, deadline_s=FAR_S) for number in range(4)]
    delivery.rearm(0.5)
    for send in sends(delivery.tick(0.5)):
        delivery.sent(send.escalated.prompt.id, "edge-1", 0.5)
    following = sends(delivery.tick(3.0))
    assert [send.escalated for send in following[:1]] == items[3:]
    assert len(following) == 3
    assert [send.to for send in following] == ["edge-1"] * 3


def test_one_that_was_busy_is_not_one_that_was_silent() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    delivery.declined(item.prompt.id, "edge-1", "busy")

    assert delivery.tick(10.0) == [], "the prompt is on its way to another; nobody is to blame"
    assert degraded(delivery.tick(30.0)) == ["no better answer came in time"]
