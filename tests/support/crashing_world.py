"""One device and one upper agent, their protocol cores real, the rest of the world ruled by a test.

Everything a core wants done waits in a list until the test lets it happen, so that a crash can come
between any two steps. Disks survive crashes, memories do not, and the network owes nothing.
"""

from __future__ import annotations

import enum
import random
from collections import Counter, defaultdict, deque
from typing import NamedTuple
from uuid import UUID

from device_agent.delivery import actions as to_do
from device_agent.delivery.protocol import Delivery
from device_agent.delivery.retry import RetryPolicy
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.messages import Failure, Hop, Prompt, Result
from shared.protocol import actions as upper
from shared.protocol.admission import Admission, key_of
from shared.protocol.batch_queue import Queue
from shared.protocol.rate_limit import RateLimiter
from shared.tasks.classify import Label
from shared.wire.codec import WORKING, Notice

BACKOFF = RetryPolicy(min_s=0.5, max_s=4.0, patience_s=2.0, in_flight=3)
LONG_S = 60.0
EDGE = "edge-1"


class Fault(enum.Enum):
    """What a careless implementation would do."""

    NONE = "none"
    NO_DEDUPE = "a device that answers again when a result comes again"
    DELETE_ON_PUBACK = "an outbox that lets go of what the broker has taken"
    MEMORY_ONLY = "an outbox that a crash empties"
    FORGOTTEN_RESULTS = "an upper agent that does not remember its results"


class Row(NamedTuple):
    escalated: Escalation
    result: Result | None


class Word(NamedTuple):
    """A notice of the upper agent's, on its way."""

    prompt_id: UUID
    code: str


class Out(NamedTuple):
    """The broker has the answer: its row can go."""

    prompt_id: UUID


class World:
    """The test's handles; ``answers`` is what the asker has seen of each prompt."""

    def __init__(self, fault: Fault = Fault.NONE) -> None:
        self.fault = fault
        self.now_s = 1000.0
        self.rows: dict[UUID, Row] = {}
        self.results: dict[upper.Key, Result] = {}
        self.attempts: Counter[upper.Key] = Counter()
        self.answers: dict[UUID, list[Result]] = defaultdict(list)
        self.accepted: set[UUID] = set()
        self.poison: set[UUID] = set()
        self.judged: Counter[upper.Key] = Counter()
        self.kept: set[upper.Key] = set()
        self.network: list[Prompt | Result | Word] = []
        self.start_device()
        self.start_edge()

    def start_device(self) -> None:
        """Start the device, as after a crash: its memory is empty and its rows are there."""
        if self.fault is Fault.MEMORY_ONLY:
            self.rows.clear()
        self.device = Delivery(BACKOFF, random.Random(1))
        self.device_to_do: deque[to_do.Action | Out] = deque()
        for prompt_id, row in self.rows.items():
            if row.result is not None:
                self.device_to_do.append(to_do.Answer(row.result))
            else:
                self.device.restore(row.escalated, revisions=False, now_s=self.now_s)
            assert prompt_id == row.escalated.prompt.id

    def start_edge(self) -> None:
        """Start the upper agent, as after a crash."""
        self.edge = Admission(RateLimiter(0, 1), attempts=3, limit_bytes=1 << 20)
        self.edge_to_do: deque[upper.Action] = deque()

    def ask(self, number: int, *, limit_s: float, poison: bool) -> None:
        """Let the device accept a prompt that its own model was unsure of."""
        prompt_id = UUID(int=number)
        hop = Hop("device", "device-1", 0.5, 0.7, 10)
        prompt = Prompt(prompt_id, "device-1", "classify", "text", self.now_s + limit_s, (hop,))
        own = Result(prompt_id, Label("own"), (hop,))
        if poison:
            self.poison.add(prompt_id)
        self.device.accept(prompt_id, prompt.deadline_s)
        escalated = Escalation(prompt, own, Observation(0.5, 0.0, 4), Routing(1, 0.7))
        self.device_to_do += self.device.escalate(escalated)

    def device_step(self) -> None:
        """Do the next thing that the device wants done."""
        action = self.device_to_do.popleft()
        match action:
            case to_do.Store(escalated):
                self.rows[escalated.prompt.id] = Row(escalated, None)
                self.accepted.add(escalated.prompt.id)
                self.device_to_do += self.device.stored(escalated.prompt.id)
            case to_do.Send(escalated):
                self.network.append(escalated.prompt)
                if self.fault is Fault.DELETE_ON_PUBACK:
                    self.rows.pop(escalated.prompt.id, None)
                self.device_to_do += self.device.sent(escalated.prompt.id, EDGE, self.now_s)
            case to_do.Resolve(result):
                row = self.rows.get(result.id)
                if row is not None and row.result is None:
                    self.rows[result.id] = Row(row.escalated, result)
                self.device_to_do += self.device.resolved(result.id)
            case to_do.Answer(result):
                self.answers[result.id].append(result)
                self.device_to_do.append(Out(result.id))
            case to_do.Forget(prompt_id) | Out(prompt_id):
                self.rows.pop(prompt_id, None)

    def edge_step(self) -> None:
        """Do the next thing that the upper agent wants done."""
        action = self.edge_to_do.popleft()
        following: upper.Action | None = None
        match action:
            case upper.Attempt(prompt):
                self.attempts[key_of(prompt)] += 1
                following = self.edge.attempted(prompt, self.attempts[key_of(prompt)])
            case upper.Process(prompt):
                following = self._judge(action)
            case upper.Quarantine():
                following = self.edge.quarantined(action)
            case upper.StoreResult(prompt, result):
                self.kept.add(key_of(prompt))
                if self.fault is not Fault.FORGOTTEN_RESULTS:
                    self.results[key_of(prompt)] = result
                following = self.edge.kept(action)
            case upper.SendResult(_, result):
                self.network.append(result)
            case upper.Working(prompt):
                self.network.append(Word(prompt.id, WORKING))
            case upper.Decline(prompt, code):
                self.network.append(Word(prompt.id, code))
        if following is not None:
            self.edge_to_do.append(following)

    def _judge(self, judge: upper.Process) -> upper.Action | None:
        prompt = judge.prompt
        key = key_of(prompt)
        assert key not in self.kept, "a prompt with a result was judged again"
        self.judged[key] += 1
        if prompt.id in self.poison:
            self.start_edge()
            return None
        # Another answer each time: whoever answers twice gives himself away.
        hop = Hop("edge", EDGE, 0.9, 0.5, self.judged[key])
        return self.edge.processed(judge, Result(prompt.id, Label("edge"), (hop,)))

    def deliver(self, index: int, *, duplicate: bool) -> None:
        """Hand a message to its reader; a duplicate stays on the network as well."""
        message = self.network[index] if duplicate else self.network.pop(index)
        if isinstance(message, Prompt):
            known = self.results.get(key_of(message))
            first = self.edge.arrived(message, known, Queue(0.0, full=False), self.now_s)
            if first is not None:
                self.edge_to_do.append(first)
        elif isinstance(message, Word):
            notice = Notice(message.code, EDGE)
            self.device_to_do += self.device.noticed(message.prompt_id, notice, self.now_s)
        else:
            actions = self.device.came(message, self.now_s)
            if self.fault is Fault.NO_DEDUPE and not actions and message.id in self.answers:
                actions = [to_do.Answer(message)]
            self.device_to_do += actions

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the device look at its clock."""
        self.now_s += seconds
        self.device_to_do += self.device.tick(self.now_s)

    def heal(self) -> None:
        """Let everything happen that is still to happen, without further faults."""
        for _ in range(400):
            while self.device_to_do or self.edge_to_do or self.network:
                if self.device_to_do:
                    self.device_step()
                elif self.edge_to_do:
                    self.edge_step()
                else:
                    self.deliver(0, duplicate=False)
            if not len(self.device) and not self.rows:
                return
            self.pass_time(0.5)

    def check_answers(self) -> None:
        """Fail if an asker saw two different results, or a poison prompt ran too often."""
        for prompt_id, answers in self.answers.items():
            assert len(set(map(repr, answers))) == 1, f"{prompt_id} was answered differently"
        for prompt_id in self.poison:
            assert self.judged["device-1", prompt_id] <= 3, "a poison prompt ran too often"

    def check_all_answered(self) -> None:
        """Fail unless every accepted prompt has its result, and nothing is left behind."""
        for prompt_id in self.accepted:
            assert self.answers[prompt_id], f"{prompt_id} was accepted and never answered"
        assert not self.rows, "a row stays in the outbox for ever"
        assert len(self.device) == 0

    def failures(self, prompt_id: UUID) -> list[str]:
        """Return the codes of the failures that an asker saw."""
        return [
            answer.outcome.code
            for answer in self.answers[prompt_id]
            if isinstance(answer.outcome, Failure)
        ]
