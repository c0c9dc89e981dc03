"""The pending table, state by state: every prompt leaves exactly once, and is never forgotten."""

from __future__ import annotations

import random
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device_agent.pending import Backoff, Pending
from shared.messages import Hop, Label, Prompt, Result
from shared.policies import Seen, Verdict
from shared.station import Escalated

BACKOFF = Backoff(min_s=1.0, max_s=8.0, patience_s=2.0)


def escalated(number: int, agent: str | None = "edge-1") -> Escalated:
    hop = Hop("device", "device-1", 0.5, 0.7, 10)
    prompt = Prompt(UUID(int=number), "device-1", "classify", "text", 30.0, (hop,))
    own = Result(prompt.id, Label("own"), (hop,))
    return Escalated(prompt, own, Seen(0.5, 0.0, 4), Verdict(1, 0.7), set(), agent)


def table() -> Pending[str]:
    return Pending(BACKOFF, random.Random(1))


def sent(pending: Pending[str], number: int, now_s: float, agent: str | None = "edge-1") -> None:
    item = escalated(number, agent)
    pending.going(item.prompt.id, item)
    pending.sent(item.prompt.id, item, now_s)


def due(pending: Pending[str], now_s: float) -> list[tuple[int, str]]:
    return [(item.escalated.prompt.id.int, item.give_up) for item in pending.due(now_s)]


def test_a_prompt_is_resolved_once_with_whoever_waits() -> None:
    pending = table()
    pending.accept(UUID(int=1), 30.0, "asker")
    assert pending.waiter(UUID(int=1)) == "asker"
    assert pending.resolve(UUID(int=1)) == "asker"
    assert pending.resolve(UUID(int=1)) is None
    assert len(pending) == 0


def test_a_prompt_that_did_not_go_up_is_never_due() -> None:
    pending = table()
    pending.accept(UUID(int=1), 30.0, "asker")
    assert pending.due(1e9) == []
    assert pending.find(UUID(int=1)) is None


def test_silence_is_answered_by_sending_again_in_ever_longer_intervals() -> None:
    pending = table()
    pending.accept(UUID(int=1), 1e6, "asker")
    now_s, waits_s = 0.0, []
    for _ in range(6):
        sent(pending, 1, now_s)
        next_s = pending.next_due_s()
        assert next_s is not None
        waits_s.append(next_s - now_s)
        assert due(pending, next_s - 0.001) == []
        assert due(pending, next_s) == [(1, "")]
        now_s = next_s

    for wait_s, silence_s in zip(waits_s, [1, 2, 4, 8, 8, 8], strict=True):
        assert silence_s / 2 <= wait_s <= silence_s


def test_at_its_deadline_a_prompt_is_given_up() -> None:
    pending = table()
    pending.accept(UUID(int=1), 0.4, "asker")
    sent(pending, 1, 0.0)
    assert due(pending, 0.39) == []
    assert due(pending, 0.4) == [(1, "no better answer came in time")]


def test_sending_that_never_ends_is_given_up_at_the_deadline() -> None:
    pending = table()
    pending.accept(UUID(int=1), 5.0, "asker")
    pending.going(UUID(int=1), escalated(1, None))
    assert due(pending, 4.9) == []
    assert due(pending, 5.0) == [(1, "no better answer came in time")]


def test_a_retry_that_never_ends_is_given_up_at_the_deadline() -> None:
    pending = table()
    pending.accept(UUID(int=1), 5.0, "asker")
    sent(pending, 1, 0.0)
    assert due(pending, 1.0) == [(1, "")]
    assert due(pending, 4.9) == []
    assert due(pending, 5.0) == [(1, "no better answer came in time")]


def test_with_nobody_above_patience_runs_once() -> None:
    pending = table()
    pending.accept(UUID(int=1), 30.0, "asker")
    sent(pending, 1, 0.0, None)
    pending.rearm(1.0, unsent_only=True)
    assert due(pending, 1.0) == [(1, "")]
    sent(pending, 1, 1.0, None)
    assert due(pending, 1.99) == []
    assert due(pending, 2.0) == [(1, "no agent above is alive")]


def test_somebody_above_ends_the_patience() -> None:
    pending = table()
    pending.accept(UUID(int=1), 30.0, "asker")
    sent(pending, 1, 0.0, None)
    sent(pending, 1, 1.9)
    assert due(pending, 2.0) == []
    sent(pending, 1, 5.0, None)
    assert due(pending, 6.9) == []
    assert due(pending, 7.0) == [(1, "no agent above is alive")]


def test_an_agent_that_appears_makes_due_what_found_nobody() -> None:
    pending = table()
    for number, agent in ((1, None), (2, "edge-1")):
        pending.accept(UUID(int=number), 30.0, "asker")
        sent(pending, number, 0.0, agent)
    pending.rearm(0.1, unsent_only=True)
    assert due(pending, 0.1) == [(1, "")]


def test_a_connection_that_returns_makes_everything_due_and_only_once() -> None:
    pending = table()
    for number, agent in ((1, None), (2, "edge-1")):
        pending.accept(UUID(int=number), 30.0, "asker")
        sent(pending, number, 0.0, agent)
    pending.rearm(0.1)
    pending.rearm(0.1)
    assert sorted(due(pending, 0.1)) == [(1, ""), (2, "")]
    assert due(pending, 0.1) == []


def test_a_prompt_resolved_meanwhile_is_not_due_and_cannot_be_sent() -> None:
    pending = table()
    pending.accept(UUID(int=1), 30.0, "asker")
    sent(pending, 1, 0.0)
    pending.resolve(UUID(int=1))
    sent(pending, 1, 0.5)
    pending.rearm(0.6)
    assert due(pending, 100.0) == []
    assert pending.above() == []


def test_what_is_above_and_who_waits_can_be_listed() -> None:
    pending = table()
    for number in (1, 2):
        pending.accept(UUID(int=number), 30.0, f"asker {number}")
    sent(pending, 2, 0.0)
    assert pending.waiters() == ["asker 1", "asker 2"]
    assert [item.prompt.id.int for item in pending.above()] == [2]


class Promise(RuleBasedStateMachine):
    """Whatever happens in whatever order, each accepted prompt is resolved exactly once, and none
    is above without a time at which it is due."""

    def __init__(self) -> None:
        super().__init__()
        self.pending = table()
        self.now_s = 0.0
        self.next_number = 0
        self.open: dict[int, float] = {}
        self.above: set[int] = set()
        self.resolved: list[int] = []

    @rule(limit_s=st.sampled_from([0.0, 0.7, 4.0, 20.0]))
    def accept(self, limit_s: float) -> None:
        self.next_number += 1
        self.open[self.next_number] = self.now_s + limit_s
        self.pending.accept(UUID(int=self.next_number), self.now_s + limit_s, "asker")

    @precondition(lambda self: self.open)
    @rule(pick=st.randoms(use_true_random=False), found=st.booleans())
    def send(self, pick: random.Random, found: bool) -> None:
        number = pick.choice(sorted(self.open))
        sent(self.pending, number, self.now_s, "edge-1" if found else None)
        self.above.add(number)

    @precondition(lambda self: self.open)
    @rule(pick=st.randoms(use_true_random=False))
    def begin_to_send(self, pick: random.Random) -> None:
        number = pick.choice(sorted(self.open))
        self.pending.going(UUID(int=number), escalated(number, None))
        self.above.add(number)

    @precondition(lambda self: self.open)
    @rule(pick=st.randoms(use_true_random=False))
    def answer(self, pick: random.Random) -> None:
        self.resolve(pick.choice(sorted(self.open)))

    @precondition(lambda self: self.resolved)
    @rule(pick=st.randoms(use_true_random=False))
    def answer_twice(self, pick: random.Random) -> None:
        number = pick.choice(self.resolved)
        assert self.pending.resolve(UUID(int=number)) is None

    @rule(unsent_only=st.booleans())
    def rearm(self, unsent_only: bool) -> None:
        self.pending.rearm(self.now_s, unsent_only=unsent_only)

    @rule(passes_s=st.sampled_from([0.0, 0.4, 1.0, 2.5, 9.0]), sends=st.booleans())
    def wait(self, passes_s: float, sends: bool) -> None:
        self.now_s += passes_s
        ready = self.pending.due(self.now_s)
        numbers = [item.escalated.prompt.id.int for item in ready]
        late = {number for number in self.above if self.open[number] <= self.now_s}
        assert late <= set(numbers), "a deadline is never missed"
        assert len(numbers) == len(set(numbers)), "nothing is due twice at a time"
        for number, item in zip(numbers, ready, strict=True):
            assert number in self.above
            if item.give_up:
                self.resolve(number)
            else:
                assert self.now_s < self.open[number], "what is too late is given up"
                if sends:
                    sent(self.pending, number, self.now_s)

    def resolve(self, number: int) -> None:
        assert self.pending.resolve(UUID(int=number)) == "asker"
        del self.open[number]
        self.above.discard(number)
        self.resolved.append(number)

    @invariant()
    def nobody_is_lost(self) -> None:
        assert len(self.pending) == len(self.open)
        assert len(self.pending.above()) == len(self.above)
        if self.above:
            assert self.pending.next_due_s() is not None

    def teardown(self) -> None:
        """At the end of time every prompt that is above is given up."""
        ready = self.pending.due(1e9)
        assert {item.escalated.prompt.id.int for item in ready if item.give_up} == self.above


Promise.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
TestPromise = Promise.TestCase
