"""Who above has a prompt: who is asked next, and whose word counts."""

from __future__ import annotations

from shared.protocol.holder import Holder, Next


def held_by(agent: str, now_s: float = 0.0, *, pooled: bool = False) -> Holder:
    holder = Holder()
    assert holder.next() == Next()
    assert holder.sent(agent, now_s, pooled=pooled) == ""
    return holder


def test_silence_first_asks_again_and_then_somebody_else() -> None:
    holder = held_by("edge-1")
    assert holder.next() == Next(to="edge-1", tried=frozenset({"edge-1"}))
    holder.sent("edge-1", 1.0)
    assert holder.next() == Next(tried=frozenset({"edge-1"}), doubted="edge-1")
    holder.sent("edge-2", 2.0)
    assert holder.next() == Next(to="edge-2", tried=frozenset({"edge-1", "edge-2"}))


def test_whoever_says_that_it_works_is_asked_again_and_again() -> None:
    holder = held_by("edge-1")
    for now_s in range(1, 10):
        assert holder.next().to == "edge-1"
        holder.sent("edge-1", now_s)
        assert holder.works("edge-1", now_s + 0.25) == 0.25
    holder.next()
    holder.sent("edge-1", 10.0)
    assert holder.next() == Next(tried=frozenset({"edge-1"}), doubted="edge-1", stopped=True)


def test_word_that_nobody_asked_for_says_nothing_of_how_long_words_take() -> None:
    holder = held_by("edge-1")
    assert holder.works("edge-1", 5.0) is None
    holder.next()
    holder.sent("edge-1", 6.0)
    assert holder.works("edge-2", 7.0) is None


def test_a_refusal_counts_once_and_only_of_the_agent_that_has_the_prompt() -> None:
    holder = held_by("edge-1")
    assert not holder.declines("edge-2", "busy")
    assert holder.declines("edge-1", "busy")
    assert not holder.declines("edge-1", "busy")
    assert holder.next() == Next(tried=frozenset({"edge-1"}))
    holder.sent("edge-2", 1.0)
    assert not holder.declines("edge-1", "busy")
    assert holder.agent == "edge-2"


def test_any_member_of_a_pool_may_refuse_and_each_once() -> None:
    holder = held_by("edge-1", pooled=True)
    assert holder.declines("edge-7", "busy")
    holder.next()
    holder.sent("edge-2", 1.0, pooled=True)
    assert not holder.declines("edge-7", "busy")
    assert holder.declines("edge-8", "busy")


def test_a_refusal_may_come_before_the_broker_says_that_the_prompt_is_there() -> None:
    holder = Holder()
    holder.next()
    assert not holder.declines("edge-1", "busy")
    assert holder.sent("edge-1", 0.0) == "busy"

    elsewhere = Holder()
    elsewhere.next()
    assert not elsewhere.declines("edge-1", "busy")
    assert elsewhere.sent("edge-2", 0.0) == "", "that was somebody else's"


def test_when_all_were_asked_a_new_round_begins() -> None:
    holder = held_by("edge-1")
    holder.declines("edge-1", "busy")
    holder.next()
    holder.sent("edge-1", 1.0)
    assert holder.declines("edge-1", "busy"), "it was asked once more"


def test_what_an_answer_took_counts_from_when_its_agent_was_first_asked() -> None:
    holder = held_by("edge-1", 10.0)
    holder.next()
    holder.sent("edge-1", 11.0)
    assert holder.took_s("edge-1", 13.0) == 3.0
    assert holder.took_s("edge-2", 13.0) is None


def test_what_a_lost_connection_may_have_swallowed_is_sent_anew_and_nobody_doubted_for_it() -> None:
    holder = held_by("edge-1")
    holder.next()
    holder.sent("edge-1", 1.0)
    holder.uncertain()
    assert holder.next() == Next(to="edge-1", tried=frozenset({"edge-1"})), "it may be at work"
    holder.sent("edge-1", 2.0)
    assert not holder.probed, "it may have heard of the prompt for the first time"
    assert holder.next().to == "edge-1"


def test_word_that_overtakes_the_brokers_counts_for_who_gave_it() -> None:
    holder = held_by("edge-1")
    holder.next()
    holder.works("edge-1", 1.0)
    holder.sent("edge-1", 1.1)
    assert not holder.probed
    assert holder.next() == Next(to="edge-1", tried=frozenset({"edge-1"}))


def test_word_of_one_who_had_the_prompt_says_nothing_of_the_one_who_has_it() -> None:
    holder = held_by("edge-1")
    holder.next()
    holder.sent("edge-1", 1.0)
    assert holder.next().doubted == "edge-1"
    holder.works("edge-1", 1.5)
    holder.sent("edge-2", 2.0)
    holder.next()
    holder.sent("edge-2", 3.0)
    holder.works("edge-1", 3.1)
    assert holder.probed
    assert holder.next() == Next(
        tried=frozenset({"edge-1", "edge-2"}), doubted="edge-2", stopped=False
    )


def test_two_holders_share_nothing() -> None:
    held_by("edge-1")
    assert Holder().next().tried == frozenset()
