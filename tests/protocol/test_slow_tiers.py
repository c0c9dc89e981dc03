"""Slow is not dead: a device before agents that take their time, freeze, or are busy.

All cores are real (``Delivery``, ``Admission``, ``LoadBalancer`` with its rosters and breakers);
time and the line between them are the test's.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import pytest

from device_agent.delivery import actions as to_do
from device_agent.delivery.protocol import Delivery
from device_agent.delivery.retry import RetryPolicy
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.membership.balancer import LoadBalancer
from shared.membership.status import Status
from shared.messages import Hop, Prompt, Result
from shared.protocol import actions as upper
from shared.protocol.admission import Admission
from shared.protocol.batch_queue import Queue
from shared.protocol.evidence import Credit, Doubt, Trust
from shared.protocol.rate_limit import RateLimiter
from shared.tasks.classify import Label
from shared.wire.codec import WORKING, Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LINE_S = 0.002
HEARTBEAT_S = 5.0


class Edge:
    """An upper agent: one model that takes one prompt after another, or all at once."""

    def __init__(self, site: Site, name: str, takes_s: float, places: int) -> None:
        self.site, self.name, self.takes_s = site, name, takes_s
        self.free_s = [0.0] * places
        self.core = Admission(RateLimiter(0, 1), attempts=3, limit_bytes=1 << 20)
        self.results: dict[UUID, Result] = {}
        self.judged: Counter[UUID] = Counter()
        self.frozen_s: float | None = None

    @property
    def frozen(self) -> bool:
        return self.frozen_s is not None and self.site.now_s >= self.frozen_s

    def beat(self) -> None:
        if not self.frozen:
            status = Status("online", 1, ("classify",), heartbeat_s=HEARTBEAT_S)
            self.site.choice.rosters[0].hear(self.name, status, self.site.now_s)
        self.site.after(HEARTBEAT_S, self.beat)

    def take(self, prompt: Prompt) -> None:
        if self.frozen:
            return
        wait_s = max(0.0, min(self.free_s) - self.site.now_s)
        known = self.results.get(prompt.id)
        action = self.core.arrived(prompt, known, Queue(wait_s, full=False), self.site.now_s)
        self.do(action)

    def do(self, action: upper.Action | None) -> None:
        match action:
            case upper.Attempt(prompt):
                self.do(self.core.attempted(prompt, 1))
            case upper.Process(prompt):
                self.judged[prompt.id] += 1
                done_s = max(heapq.heappop(self.free_s), self.site.now_s) + self.takes_s
                heapq.heappush(self.free_s, done_s)
                self.site.at(done_s, lambda: self.done(action))
            case upper.StoreResult(prompt, result):
                self.results[prompt.id] = result
                self.do(self.core.kept(action))
            case upper.SendResult(_, result):
                self.site.after(LINE_S, lambda: self.site.came(result))
            case upper.Working(prompt):
                self.site.after(LINE_S, lambda: self.site.noticed(prompt.id, WORKING, self.name))
            case upper.Decline(prompt, code):
                self.site.after(LINE_S, lambda: self.site.noticed(prompt.id, code, self.name))

    def done(self, judge: upper.Process) -> None:
        if not self.frozen:
            hop = Hop("edge", self.name, 0.9, 0.5, int(self.takes_s * 1e6))
            self.do(self.core.processed(judge, Result(judge.prompt.id, Label("edge"), (hop,))))


class Ended(NamedTuple):
    result: Result
    took_s: float


class Site:
    """One device, some edge agents, and the time."""

    def __init__(self, *takes_s: float, places: int = 1_000) -> None:
        self.now_s = 0.0
        self.delivery = Delivery(RetryPolicy(0.5, 8.0, 2.0), random.Random(1))
        self.choice = LoadBalancer(["edge"], random.Random(2))
        self.edges = {
            f"edge-{number}": Edge(self, f"edge-{number}", takes, places)
            for number, takes in enumerate(takes_s, start=1)
        }
        self.ended: dict[int, Ended] = {}
        self.sends: Counter[UUID] = Counter()
        self.opened = 0
        self._asked_s: dict[UUID, float] = {}
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        for edge in self.edges.values():
            self.at(0.0, edge.beat)

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (when_s, self._number, what))

    def after(self, delay_s: float, what: Callable[[], None]) -> None:
        self.at(self.now_s + delay_s, what)

    def ask(self, number: int, limit_s: float = 30.0) -> None:
        hop = Hop("device", "device-1", 0.5, 0.7, 10)
        deadline_s = self.now_s + limit_s
        prompt = Prompt(UUID(int=number), "device-1", "classify", "text", deadline_s, (hop,))
        own = Result(prompt.id, Label("own"), (hop,))
        self._asked_s[prompt.id] = self.now_s
        self.delivery.accept(prompt.id, deadline_s)
        self.do(
            self.delivery.escalate(
                Escalation(prompt, own, Observation(0.5, 0.0, 4), Routing(1, 0.7))
            )
        )

    def do(self, actions: Iterable[to_do.Action]) -> None:
        for action in actions:
            match action:
                case to_do.Store(escalated):
                    self.do(self.delivery.stored(escalated.prompt.id))
                case to_do.Send():
                    self.send(action)
                case Doubt(agent, stopped):
                    opened = self.choice.doubt(agent, self.now_s, stopped=stopped)
                    self.opened += opened is not None
                case Trust(agent):
                    self.choice.works(agent, self.now_s)
                case Credit(agents):
                    for agent in agents:
                        self.choice.succeeded(agent, self.now_s)
                case to_do.Resolve(result):
                    self.do(self.delivery.resolved(result.id))
                case to_do.Answer(result):
                    took_s = self.now_s - self._asked_s[result.id]
                    self.ended[result.id.int] = Ended(result, took_s)

    def send(self, send: to_do.Send) -> None:
        prompt, again = send.escalated.prompt, not send.declined
        chosen = self.choice.choose(
            prompt, 1, self.now_s, to=send.to, tried=send.tried, again=again
        )
        if chosen is None:
            self.do(self.delivery.unsent(prompt.id, self.now_s, declined=send.declined))
            return
        self.sends[prompt.id] += 1
        edge = self.edges[chosen.agent]
        self.after(LINE_S, lambda: edge.take(prompt))
        self.do(self.delivery.sent(prompt.id, chosen.agent, self.now_s))

    def came(self, result: Result) -> None:
        self.do(self.delivery.came(result, self.now_s))

    def noticed(self, prompt_id: UUID, code: str, agent: str) -> None:
        self.do(self.delivery.noticed(prompt_id, Notice(code, agent), self.now_s))

    def run(self, until_s: float) -> None:
        while True:
            due_s = self.delivery.next_due_s()
            next_s = self._agenda[0][0] if self._agenda else until_s
            if due_s is not None and due_s <= min(next_s, until_s):
                self.now_s = max(self.now_s, due_s)
                self.do(self.delivery.tick(self.now_s))
            elif self._agenda and next_s <= until_s:
                self.now_s, _, what = heapq.heappop(self._agenda)
                what()
            else:
                return

    def degraded(self) -> list[str]:
        return [ended.result.degraded for ended in self.ended.values() if ended.result.degraded]


@pytest.mark.parametrize("takes_s", [0.2, 1.0, 4.0, 12.0, 25.0])
@pytest.mark.parametrize("agents", [1, 2])
def test_answers_that_come_in_time_are_taken_however_slow_they_are(
    takes_s: float, agents: int
) -> None:
    site = Site(*[takes_s] * agents)
    for number in range(40):
        site.at(0.1 + 1.5 * number, lambda number=number: site.ask(number))  # type: ignore[misc]
    site.run(120.0)

    assert len(site.ended) == 40
    assert site.degraded() == []
    assert site.opened == 0
    judged = sum(sum(edge.judged.values()) for edge in site.edges.values())
    assert judged == 40, "no prompt ran twice"
    assert max(site.sends.values()) <= 10, "a repeat now and then, and no storm"


def test_later_prompts_are_hardly_repeated_once_it_is_known_how_long_answers_take() -> None:
    site = Site(3.0, 3.0)
    for number in range(100):
        site.at(0.1 + number, lambda number=number: site.ask(number))  # type: ignore[misc]
    site.run(140.0)
    late = [site.sends[UUID(int=number)] for number in range(50, 100)]
    assert sum(late) <= 60


def test_a_queue_of_several_seconds_is_waited_for() -> None:
    site = Site(0.5, places=1)
    for number in range(20):
        site.at(0.1, lambda number=number: site.ask(number))  # type: ignore[misc]
    site.run(40.0)
    assert site.degraded() == []
    assert sum(site.edges["edge-1"].judged.values()) == 20


def test_a_frozen_agent_is_left_for_a_slow_one_and_soon_not_asked_any_more() -> None:
    site = Site(2.0, 2.0)
    site.edges["edge-1"].frozen_s = 10.0
    for number in range(120):
        site.at(0.1 + 0.25 * number, lambda number=number: site.ask(number))  # type: ignore[misc]
    site.run(80.0)

    assert len(site.ended) == 120
    assert site.degraded() == []
    frozen = [ended for number, ended in site.ended.items() if 40 <= number < 120]
    assert max(ended.took_s for ended in frozen) < 10.0
    assert sum(ended.took_s > 2.5 for ended in frozen) < 15, "one prompt finds out for the others"


def test_all_frozen_for_a_while_and_all_is_well_again() -> None:
    site = Site(0.1)
    for number in range(10):
        site.at(1.0 + number, lambda number=number: site.ask(number))  # type: ignore[misc]
    site.edges["edge-1"].frozen_s = 3.0

    def thaw() -> None:
        site.edges["edge-1"].frozen_s = None

    site.at(9.0, thaw)
    site.run(60.0)
    assert site.degraded() == []
