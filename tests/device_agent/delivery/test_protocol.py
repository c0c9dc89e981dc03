"""The device's protocol core, state by state. Sequences of everything: ``tests/protocol``."""

from __future__ import annotations

from uuid import UUID

from device_agent.delivery.actions import (
    Answer,
    Resolve,
    Revise,
    Send,
)
from shared.messages import Failure, Result
from shared.protocol.evidence import Blame, Credit, Learn, Trust
from shared.wire.codec import WORKING, Notice
from tests.support.deliveries import FAR_S, core, degraded, escalated, from_above, send_up


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

    *_, settle = delivery.came(from_above(1), 0.1)
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


def test_a_result_is_learned_from_before_it_is_stored_and_who_answered_is_credited() -> None:
    delivery = core()
    item = send_up(delivery, 1)

    learn, credit, resolve = delivery.came(from_above(1), 0.1)

    assert learn == Learn(item, from_above(1))
    assert credit == Credit(("edge-1",))
    assert isinstance(resolve, Resolve)


def test_who_put_a_prompt_aside_is_blamed_unless_that_was_somebody_above() -> None:
    put_aside = Failure("quarantined", "put aside after 3 attempts: it broke")
    hops = from_above(1).hops
    for code, through, blamed in (
        (put_aside, (), [Blame("edge-1")]),
        (put_aside, hops, []),
        (Failure("unknown_task", "it answers nothing"), (), []),
    ):
        delivery = core()
        item = send_up(delivery, 1)
        *evidence, resolve = delivery.came(Result(item.prompt.id, code, through), 0.1)
        assert evidence == blamed
        assert isinstance(resolve, Resolve), "a failure is nothing to learn from"


def test_an_agent_that_says_it_works_is_trusted_though_nobody_knows_the_prompt() -> None:
    assert core().noticed(UUID(int=9), Notice(WORKING, "edge-1"), 0.1) == [Trust("edge-1")]


def test_a_refusal_is_no_evidence_against_anybody() -> None:
    delivery = core()
    item = send_up(delivery, 1)
    assert delivery.noticed(item.prompt.id, Notice("busy", "edge-1"), 0.1) == [
        Send(item, tried=frozenset({"edge-1"}), declined="busy")
    ]


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
