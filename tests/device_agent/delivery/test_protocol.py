"""The device's protocol core, state by state. Sequences of everything: ``tests/protocol``."""

from __future__ import annotations

import random
from uuid import UUID

from device_agent.delivery.actions import (
    Action,
    Answer,
    Doubt,
    Forget,
    Resolve,
    Revise,
    Send,
    Store,
)
from device_agent.delivery.protocol import Delivery
from device_agent.delivery.retry import RetryPolicy
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.messages import Failure, Hop, Prompt, Result
from shared.tasks.classify import Label

BACKOFF = RetryPolicy(min_s=1.0, max_s=8.0, patience_s=2.0, in_flight=3)
FAR_S = 1e6


def core() -> Delivery:
    return Delivery(BACKOFF, random.Random(1))


def escalated(number: int, deadline_s: float = 30.0) -> Escalation:
    hop = Hop("device", "device-1", 0.5, 0.7, 10)
    prompt = Prompt(UUID(int=number), "device-1", "classify", "text", deadline_s, (hop,))
    own = Result(prompt.id, Label("own"), (hop,))
    return Escalation(prompt, own, Observation(0.5, 0.0, 4), Routing(1, 0.7))


def from_above(number: int) -> Result:
    return Result(UUID(int=number), Label("better"), (Hop("edge", "edge-1", 0.9, 0.5, 10),))


def send_up(
    delivery: Delivery,
    number: int,
    now_s: float = 0.0,
    *,
    deadline_s: float = 30.0,
    agent: str = "edge-1",
    revisions: bool = False,
) -> Escalation:
    """Bring a prompt to where it waits for its result."""
    item = escalated(number, deadline_s)
    delivery.accept(item.prompt.id, deadline_s, revisions=revisions)
    assert delivery.escalate(item) == [Store(item)]
    assert delivery.stored(item.prompt.id) == [Send(item)]
    if agent:
        assert delivery.sent(item.prompt.id, agent, now_s) == []
    else:
        assert delivery.unsent(item.prompt.id, now_s) == []
    return item


def sends(actions: list[Action]) -> list[Send]:
    return [action for action in actions if isinstance(action, Send)]


def degraded(actions: list[Action]) -> list[str]:
    return [action.result.degraded for action in actions if isinstance(action, Resolve)]


def test_what_was_answered_here_is_answered_once_and_never_stored() -> None:
    delivery = core()
    delivery.accept(UUID(int=1), 30.0)
    own = escalated(1).local_result

    assert delivery.answer(own) == [Answer(own)]
    assert delivery.answer(own) == []
    assert len(delivery) == 0


def test_only_what_is_stored_is_sent_and_only_what_is_settled_is_answered() -> None:
    delivery = core()
    item = send_up(delivery, 1)

    (settle,) = delivery.came(from_above(1), 0.1)
    assert isinstance(settle, Resolve)
    assert [hop.tier for hop in settle.result.hops] == ["device", "edge"]
    assert len(delivery) == 1
    assert delivery.resolved(item.prompt.id) == [Answer(settle.result)]
    assert len(delivery) == 0


def test_a_result_that_comes_again_is_nothing_to_be_done_about() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    assert delivery.came(from_above(1), 0.1)
    assert delivery.came(from_above(1), 0.1) == []
    delivery.resolved(item.prompt.id)
    assert delivery.came(from_above(1), 0.2) == []
    assert delivery.came(from_above(7), 0.2) == []


def test_what_cannot_be_stored_is_answered_here_and_never_sent() -> None:
    delivery = core()
    item = escalated(1)
    delivery.accept(item.prompt.id, 30.0)
    delivery.escalate(item)
    assert delivery.unstored(item.prompt.id, "full") == [Answer(item.degraded("full"))]


def test_a_disk_that_takes_too_long_does_not_hold_an_answer_beyond_its_time() -> None:
    delivery = core()
    item = escalated(1, deadline_s=5.0)
    delivery.accept(item.prompt.id, 5.0)
    delivery.escalate(item)

    assert delivery.tick(5.0) == [Answer(item.degraded("no better answer came in time"))]
    assert delivery.stored(item.prompt.id) == [Forget(item.prompt.id)]


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


def test_when_all_above_decline_our_own_answer_goes_out_at_once() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    assert delivery.declined(item.prompt.id, "edge-1", "busy") == [
        Send(item, tried=frozenset({"edge-1"}), declined="busy")
    ]
    assert degraded(delivery.unsent(item.prompt.id, 0.1, declined="busy")) == [
        "every agent above is busy"
    ]


def test_a_refusal_that_comes_again_does_not_take_the_prompt_from_who_has_it_now() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    assert delivery.declined(item.prompt.id, "edge-1", "busy")
    assert delivery.declined(item.prompt.id, "edge-1", "busy") == []
    delivery.sent(item.prompt.id, "edge-2", 0.1)
    assert delivery.declined(item.prompt.id, "edge-1", "busy") == []
    assert delivery.declined(item.prompt.id, "edge-2", "busy") != []


def test_a_refusal_may_overtake_the_brokers_word_that_the_prompt_is_there() -> None:
    delivery = core()
    item = escalated(1)
    delivery.accept(item.prompt.id, 30.0)
    delivery.escalate(item)
    delivery.stored(item.prompt.id)

    assert delivery.declined(item.prompt.id, "edge-1", "busy") == []
    assert delivery.sent(item.prompt.id, "edge-1", 0.1) == [
        Send(item, tried=frozenset({"edge-1"}), declined="busy")
    ]


def test_one_that_was_busy_is_not_one_that_was_silent() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    delivery.declined(item.prompt.id, "edge-1", "busy")

    assert delivery.tick(10.0) == [], "the prompt is on its way to another; nobody is to blame"
    assert degraded(delivery.tick(30.0)) == ["no better answer came in time"]


def test_a_prompt_that_cannot_travel_is_answered_here_at_once() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    said = degraded(delivery.refused(item.prompt.id, "the broker carries 10 bytes", 0.1))
    assert said == ["the broker carries 10 bytes"]


def test_a_failure_above_is_our_own_answer_and_says_why() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    failed = Result(item.prompt.id, Failure("model_failed", "it broke"))
    assert degraded(delivery.came(failed, 0.1)) == ["the tier above failed: it broke"]


def test_a_better_answer_after_a_degraded_one_is_a_revision_where_one_is_wanted() -> None:
    for wanted in (True, False):
        delivery = core()
        item = send_up(delivery, 1, deadline_s=1.0, revisions=wanted)
        delivery.tick(1.0)
        delivery.resolved(item.prompt.id)

        revised = delivery.came(from_above(1), 1.5)
        joined = from_above(1).after(item.prompt.hops)
        assert revised == ([Revise(joined)] if wanted else [])
        assert delivery.came(from_above(1), 1.6) == []


def test_word_of_an_agent_ends_the_patience_too() -> None:
    delivery = core()
    item = send_up(delivery, 1, deadline_s=FAR_S)
    delivery.rearm(0.5)
    delivery.tick(0.5)
    delivery.unsent(item.prompt.id, 0.5)
    delivery.working(item.prompt.id, "edge-1", 0.6)
    assert degraded(delivery.tick(2.6)) == []


def test_a_better_answer_that_comes_while_a_degraded_one_is_committed_is_a_revision() -> None:
    delivery = core()
    item = send_up(delivery, 1, deadline_s=1.0, revisions=True)
    (settle,) = delivery.tick(1.0)
    assert isinstance(settle, Resolve)
    assert delivery.came(from_above(1), 1.01) == []
    joined = from_above(1).after(item.prompt.hops)
    assert delivery.resolved(item.prompt.id) == [Answer(settle.result), Revise(joined)]


def test_whoever_leaves_answers_what_waits_for_its_commit() -> None:
    delivery = core()
    send_up(delivery, 1)
    (settle,) = delivery.stop("stopping", 0.0)
    assert isinstance(settle, Resolve)
    assert delivery.resolve_at_once() == [Answer(settle.result)]
    assert delivery.resolve_at_once() == []


def test_what_was_restored_is_sent_at_once() -> None:
    delivery = core()
    item = escalated(1)
    delivery.restore(item, revisions=False, now_s=7.0)
    assert delivery.tick(7.0) == [Send(item)]


def test_what_is_withdrawn_is_never_sent_again() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    delivery.withdraw(item.prompt.id)
    assert delivery.tick(FAR_S) == []
    assert delivery.came(from_above(1), 0.1) == []


def test_stopping_answers_what_waits_above_and_leaves_what_is_being_judged() -> None:
    delivery = core()
    delivery.accept(UUID(int=1), 30.0)
    send_up(delivery, 2)
    assert degraded(delivery.stop("stopping", 0.0)) == ["stopping"]
    assert len(delivery) == 2


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
    (settle,) = delivery.came(from_above(1), 1.0)
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
