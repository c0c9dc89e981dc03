"""One episode: a world, an allocator, and the rounds between them, in simulated time."""

from __future__ import annotations

import heapq
import math
import random
from typing import TYPE_CHECKING, Final, NamedTuple

from cloud_agent.center.placement.allocators import AllocatorContext, make_allocator
from cloud_agent.center.placement.beliefs import Beliefs, Demand, Outlook
from cloud_agent.center.placement.dispatch import give_out
from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode
from cloud_agent.center.placement.planner import (
    Holding,
    Horizon,
    PlacementPlanner,
    PlacementSettings,
)
from experiments.placement.node import Node

if TYPE_CHECKING:
    from cloud_agent.center.placement.allocators import Allocator, AllocatorSettings
    from cloud_agent.center.placement.preferences import Preference
    from experiments.placement.world import DrawnJob, FleetWorld


_PLACEMENT: Final = PlacementSettings()


class Ended(NamedTuple):
    """One job that has ended: in which round it came and was heard of, who answered, its worth."""

    id: str
    round: int
    heard: int
    node: str
    model: str
    right: bool
    latency_s: float
    worth: float


class Given(NamedTuple):
    """One job given to a node, in a round."""

    id: str
    round: int
    node: str


class Episode(NamedTuple):
    """What came of one allocator in one world.

    ``plans`` has the model of every node after each placement, ``slowdowns`` what was believed of
    each node's log slowdown at the end of each round, and ``given`` every time that a job was given
    out: more often than there are jobs where nodes died.
    """

    ended: list[Ended]
    plans: list[dict[str, str]]
    slowdowns: list[list[float]]
    bytes_moved: float
    given: list[Given]
    beliefs: Beliefs
    allocator: Allocator


class _JobUnderWay(NamedTuple):
    done_s: float
    number: int
    arrival: DrawnJob
    arrived: int
    outcome: JobOutcome


class Truth:
    """How good every model and how fast every node really is: what the oracle goes by."""

    def __init__(self, world: FleetWorld) -> None:
        self.phase = 0
        self._world = world
        self._node = {name: i for i, name in enumerate(world.nodes)}

    def slowdown(self, node: str) -> float:
        """Return how slow a node is now."""
        return float(self._world.slowdowns[self.phase, self._node[node]])

    def service_s(self, node: str, model: str, kind: str) -> float:
        """Return how long a job takes there, but for noise."""
        catalogue = self._world.catalogue
        return catalogue.tokens[kind] * catalogue[model].token_s * self.slowdown(node)

    def outlook(self, node: str, model: str, kind: str) -> Outlook:
        """Return what a job would bring."""
        service_s = self.service_s(node, model, kind)
        return Outlook(self._world.quality[model, kind], service_s, 0.15 * service_s)


def run_episode(
    world: FleetWorld,
    allocator: AllocatorSettings,
    preference: Preference,
    *,
    placement: PlacementSettings | None = _PLACEMENT,
    seed: int = 0,
    taught: Allocator | None = None,
) -> Episode:
    """Play a world to its end; without ``placement`` every node keeps the smallest model.

    ``taught`` is an allocator that has learned in other worlds and goes on learning here.
    """
    return _Run(world, allocator, preference, placement, seed, taught).play()


class _Run:
    def __init__(
        self,
        world: FleetWorld,
        allocator: AllocatorSettings,
        preference: Preference,
        placement: PlacementSettings | None,
        seed: int,
        taught: Allocator | None,
    ) -> None:
        self._world = world
        self._preference = preference
        self._truth = Truth(world)
        self._beliefs = Beliefs(world.catalogue, prior_weight=world.settings.prior_weight)
        self._demand = Demand(world.catalogue.kinds)
        context = AllocatorContext(
            world.catalogue, self._beliefs, preference, random.Random(seed),  # noqa: S311
            world.nodes, self._truth,
        )  # fmt: skip
        self._allocator = taught or make_allocator(allocator, context)
        self._planner = (
            PlacementPlanner(placement, world.catalogue, preference) if placement else None
        )
        smallest = min(world.catalogue, key=lambda card: card.size_bytes)
        self._nodes = {
            name: Node(
                name,
                smallest,
                float(world.memory_bytes[i]),
                float(world.bytes_per_s[i]),
                float(world.rtt_s[i]),
            )
            for i, name in enumerate(world.nodes)
        }
        self._under_way: list[_JobUnderWay] = []
        self._waiting: list[tuple[int, DrawnJob]] = []
        self._given: list[Given] = []
        self._ended: list[Ended] = []
        self._plans: list[dict[str, str]] = []
        self._slowdowns: list[list[float]] = []

    def play(self) -> Episode:
        settings = self._world.settings
        for number, arrivals in enumerate(self._world.arrivals):
            now_s = number * settings.round_s
            self._truth.phase = int(number >= self._world.changes_at)
            self._hear(number, now_s)
            self._fail(number, now_s)
            for node in self._nodes.values():
                node.advance(now_s)
            self._demand.learn([arrival.kind for arrival in arrivals])
            self._waiting += [(number, arrival) for arrival in arrivals]
            self._give_out(now_s)
            if (number + 1) % settings.rounds_per_placement == 0:
                self._place(now_s)
            self._slowdowns.append([self._beliefs.speed(name).mu for name in self._nodes])
        self._finish()
        return Episode(
            self._ended,
            self._plans,
            self._slowdowns,
            sum(node.bytes_moved for node in self._nodes.values()),
            self._given,
            self._beliefs,
            self._allocator,
        )

    def _fail(self, number: int, now_s: float) -> None:
        """Let nodes die and rise; what they had is to be given out again."""
        for index, dies, rises in self._world.settings.outages:
            node = self._nodes[self._world.nodes[index % len(self._nodes)]]
            if number == dies and node.alive:
                node.die()
                self._take_back(node.name)
            if number == rises and not node.alive:
                node.rise(now_s)

    def _take_back(self, node: str) -> None:
        """Wait again with what a node had; what it has answered by now is on its way."""
        lost = [attempt for attempt in self._under_way if attempt.outcome.node == node]
        self._waiting += [(attempt.arrived, attempt.arrival) for attempt in lost]
        self._under_way = [a for a in self._under_way if a.outcome.node != node]
        heapq.heapify(self._under_way)

    def _hear(self, number: int, now_s: float) -> None:
        """Take in the answers that have come by now."""
        while self._under_way and self._under_way[0].done_s <= now_s:
            attempt = heapq.heappop(self._under_way)
            outcome = attempt.outcome
            self._beliefs.learn(outcome)
            self._allocator.learn(outcome)
            grade = outcome.grade or 0.0
            self._ended.append(
                Ended(
                    attempt.arrival.id,
                    attempt.arrived,
                    number,
                    outcome.node,
                    outcome.model,
                    bool(grade),
                    outcome.latency_s,
                    self._preference.of(grade, outcome.latency_s),
                )
            )

    def _give_out(self, now_s: float) -> None:
        candidates = [
            OpenNode(node.name, node.model.name, max(node.free_at_s - now_s, 0.0), node.rtt_s)
            for node in self._nodes.values()
            if node.available
        ]
        waiting = {arrival.id: (number, arrival) for number, arrival in self._waiting}
        limit_s = self._preference.limit_s
        jobs = [
            FleetJob(
                arrival.id,
                arrival.kind,
                number * self._world.settings.round_s + limit_s,
                arrival.features,
            )
            for number, arrival in self._waiting
        ]
        for job, candidate in give_out(jobs, candidates, self._allocator):
            number, arrival = waiting.pop(job.id)
            self._start(number, arrival, self._nodes[candidate.node], now_s)
        self._waiting = list(waiting.values())

    def _start(self, number: int, arrival: DrawnJob, node: Node, now_s: float) -> None:
        model = node.model.name
        service_s = self._truth.service_s(node.name, model, arrival.kind) * math.exp(arrival.effort)
        done_s = node.work(now_s, service_s) + node.rtt_s
        latency_s = done_s - number * self._world.settings.round_s
        outcome = JobOutcome(
            arrival.id,
            arrival.kind,
            node.name,
            model,
            float(self._world.is_right(model, arrival)),
            self._world.catalogue.tokens[arrival.kind],
            service_s,
            latency_s,
            latency_s <= self._preference.limit_s,
        )
        round_ = round(now_s / self._world.settings.round_s)
        self._given.append(Given(arrival.id, round_, node.name))
        attempt = _JobUnderWay(done_s, len(self._given), arrival, number, outcome)
        heapq.heappush(self._under_way, attempt)

    def _place(self, now_s: float) -> None:
        if self._planner is None:
            return
        settings = self._world.settings
        holdings = [
            Holding(
                node.name,
                node.wanted.name,
                node.memory_bytes,
                node.bytes_per_s,
                node.rtt_s,
                frozenset(node.on_disk),
            )
            for node in self._nodes.values()
            if node.alive
        ]
        if not holdings:
            return
        horizon = Horizon(settings.rounds_per_placement, settings.round_s)
        plan = self._planner.plan(holdings, self._allocator.outlooks, self._demand, horizon)
        for name, model in plan.models.items():
            self._nodes[name].want(self._world.catalogue[model], now_s)
        self._plans.append(plan.models)

    def _finish(self) -> None:
        """Let everything end that is under way, with the nodes that are left."""
        number = len(self._world.arrivals)
        now_s = number * self._world.settings.round_s
        for node in self._nodes.values():
            if not node.alive:
                node.rise(now_s)
        while self._under_way or self._waiting:
            now_s += self._world.settings.round_s
            self._hear(number, now_s)
            for node in self._nodes.values():
                node.advance(now_s)
            self._give_out(now_s)
