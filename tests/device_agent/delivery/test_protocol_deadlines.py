"""The device's protocol core and time: deadlines, and patience while nobody is above."""

from __future__ import annotations

from uuid import UUID

from device_agent.delivery.actions import (
    Answer,
    Forget,
    Resolve,
    Send,
)
from shared.messages import Failure
from tests.support.deliveries import FAR_S, core, degraded, escalated, from_above, send_up


def test_a_disk_that_takes_too_long_does_not_hold_an_answer_beyond_its_time() -> None:
    delivery = core()
    item = escalated(1, deadline_s=5.0)
    delivery.accept(item.prompt.id, 5.0)
    delivery.escalate(item)

    assert delivery.tick(5.0) == [Answer(item.degraded("no better answer came in time"))]
    assert delivery.stored(item.prompt.id) == [Forget(item.prompt.id)]


def test_at_its_deadline_a_prompt_gets_our_own_answer() -> None:
    delivery = core()
    send_up(delivery, 1, deadline_s=0.4)
    assert delivery.tick(0.39) == []
    assert degraded(delivery.tick(0.4)) == ["no better answer came in time"]


def test_with_nobody_above_patience_runs_once() -> None:
    delivery = core()
    item = send_up(delivery, 1, agent="")
    delivery.rearm(1.5)
    assert delivery.tick(1.5) == [Send(item)]
    delivery.unsent(item.prompt.id, 1.5)
    assert degraded(delivery.tick(2.0)) == ["no agent above is alive"]


def test_somebody_above_ends_the_patience() -> None:
    delivery = core()
    item = send_up(delivery, 1, agent="")
    delivery.rearm(1.5, unsent_only=True)
    delivery.tick(1.5)
    delivery.sent(item.prompt.id, "edge-1", 1.5)
    assert degraded(delivery.tick(2.0)) == []


def test_an_agent_that_appears_is_only_for_what_nobody_has() -> None:
    delivery = core()
    send_up(delivery, 1)
    delivery.rearm(0.1, unsent_only=True)
    assert delivery.tick(0.1) == []
    delivery.rearm(0.2)
    assert len(delivery.tick(0.2)) == 1


def test_word_of_an_agent_ends_the_patience_too() -> None:
    delivery = core()
    item = send_up(delivery, 1, deadline_s=FAR_S)
    delivery.rearm(0.5)
    delivery.tick(0.5)
    delivery.unsent(item.prompt.id, 0.5)
    delivery.working(item.prompt.id, "edge-1", 0.6)
    assert degraded(delivery.tick(2.6)) == []


def test_a_prompt_has_its_deadline_while_it_is_judged() -> None:
    delivery = core()
    delivery.accept(UUID(int=1), 5.0)

    assert delivery.next_due_s() == 5.0
    (answer,) = delivery.tick(5.0)
    assert isinstance(answer, Answer)
    assert isinstance(answer.result.outcome, Failure)
    assert answer.result.outcome.code == "expired"
    assert delivery.answer(escalated(1).local_result) == []
    assert delivery.escalate(escalated(1)) == []
    assert len(delivery) == 0


def test_a_prompt_has_its_deadline_while_its_result_is_committed() -> None:
    delivery = core()
    item = send_up(delivery, 1, deadline_s=5.0)
    *_, settle = delivery.came(from_above(1), 1.0)
    assert isinstance(settle, Resolve)

    assert delivery.tick(4.99) == []
    assert delivery.tick(5.0) == [Answer(settle.result)]
    assert delivery.resolved(item.prompt.id) == []


def test_a_result_that_is_late_waits_a_moment_for_its_commit_and_no_longer() -> None:
    delivery = core()
    send_up(delivery, 1, deadline_s=5.0)
    (settle,) = delivery.tick(5.0)
    assert isinstance(settle, Resolve)
    assert delivery.tick(5.01) == []
    assert delivery.tick(6.0) == [Answer(settle.result)]


def test_deadlines_of_prompts_that_are_gone_do_not_pile_up() -> None:
    delivery = core()
    for number in range(20_000):
        delivery.accept(UUID(int=number), FAR_S + number)
        delivery.withdraw(UUID(int=number))
    assert len(delivery._due) < 3_000
    assert delivery.next_due_s() is None
