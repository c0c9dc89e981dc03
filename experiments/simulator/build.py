"""Puts a plan together: machines, lines, the broker, and every agent, in simulated time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from device_agent.delivery.protocol import Delivery
from device_agent.delivery.retry import RetryPolicy
from device_agent.settings import DeviceSettings
from experiments.profiling.profile import Cost, WritingTimes
from experiments.simulator.batch_rounds import SimulatedBatchRounds
from experiments.simulator.batcher import SimulatedBatcher
from experiments.simulator.clock import SimulatedClock
from experiments.simulator.cpu import ModelThread, Processor, Step, Worker
from experiments.simulator.device import DeviceAgent, DeviceSteps
from experiments.simulator.dispatcher import SimulatedDispatcher, StatusBoard
from experiments.simulator.link import Link
from experiments.simulator.network import Ends, Network
from experiments.simulator.service_times import ServiceTimes, WritingServiceTimes
from experiments.simulator.station import SimulatedStation
from experiments.simulator.token_rounds import SimulatedTokenRounds, WritingLimits
from experiments.simulator.upper_agent import UpperAgent, UpperSteps
from experiments.simulator.waiting import BatchCounts
from experiments.simulator.world import BROKER, DEVICES, WATCH_S, GeneratorNode, Placement, World
from shared.cascade.tier import Tier
from shared.protocol.admission import Admission
from shared.protocol.batch_queue import BatchQueue
from shared.protocol.rate_limit import RateLimiter
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from experiments.profiling.profile import AgentCosts
    from experiments.simulator.batcher import SimulatedRounds
    from experiments.simulator.ports import Reader
    from experiments.simulator.scenario import Machine, Scenario, TierPlan
    from experiments.simulator.waiting import WaitingPrompt

_HALF: Final = 0.5
_TO_SEND: Final = 0.1
_STATUSES_EVERY_S: Final = 0.002
_VIRTUAL_STATUSES_S: Final = 10.0


class _Builder:
    """Puts one plan together."""

    def __init__(self, plan: Scenario, seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._clock = SimulatedClock()
        self._draws: dict[str, random.Random] = {}
        self._board = StatusBoard()
        topics = Topics(plan.root)
        machine = plan.broker
        handling = machine.measured.handling
        self._processors: dict[tuple[str, str], Processor] = {}
        processor = self._processor(machine, BROKER)
        broker = Worker(self._clock, processor)
        self.world = World(self._clock, Network(broker, step(handling.message, handling)), topics)
        self.world.agents[BROKER] = Placement("", processor, (broker,))
        self._readers: dict[str, Reader] = {}

    def build(self) -> World:
        """Put everything in its place, from the top down: who sends must know who hears."""
        for tier in reversed(self._plan.tiers[1:]):
            for number, name in enumerate(tier.names):
                self._add_upper(tier, name, number)
        self._add_devices(self._plan.tiers[0])
        return self.world

    def _add_upper(self, tier: TierPlan, name: str, number: int) -> None:
        settings, handling = tier.settings, tier.machine.measured.handling
        processor = self._processor(tier.machine, name)
        loop, thread = self._workers(tier, processor)
        limits = settings.limits
        extra = handling.pass_on.beyond(handling.answer)
        agent = UpperAgent(
            self._station(tier, name, loop, thread),
            Admission(
                RateLimiter(limits.device_prompts_s, limits.device_burst),
                attempts=limits.attempts,
                limit_bytes=limits.results_megabytes << 20,
            ),
            UpperSteps(
                arrive=step(handling.answer, handling, _HALF),
                decide=step(handling.answer, handling, _HALF),
                pass_on=step(extra, handling),
            ),
            self.world.network,
            self._readers,
            self.world.topics,
            heartbeat_s=settings.heartbeat_s,
        )
        self.world.agents[name] = Placement(settings.tier.name, processor, (loop, thread))
        self._readers[name] = agent
        # Agents were not all started at one moment, and do not all speak at one.
        first_s = settings.heartbeat_s * number / len(tier.names)
        agent.beat(self._board, first_s)

    def _add_devices(self, tier: TierPlan) -> None:
        processor = self._processor(tier.machine, tier.names[0])
        loop, thread = self._workers(tier, processor)
        for number, name in enumerate(tier.names):
            if number and not tier.virtual:
                processor = self._processor(tier.machine, name)
                loop, thread = self._workers(tier, processor)
            agent = self._device(tier, name, loop, thread)
            self.world.agents[name] = Placement(tier.settings.tier.name, processor, (loop, thread))
            self.world.devices[name] = self._readers[name] = agent
        heartbeat_s = tier.settings.heartbeat_s
        if tier.virtual:
            heartbeat_s = max(heartbeat_s, len(tier.names) / _VIRTUAL_STATUSES_S)
        self._statuses_s = len(tier.names) / heartbeat_s
        self._announce_devices(_STATUSES_EVERY_S)
        if tier.virtual:
            self.world.generator = _generator(tier.machine.measured.handling, loop)

    def _device(self, tier: TierPlan, name: str, loop: Worker, thread: ModelThread) -> DeviceAgent:
        settings, handling = tier.settings, tier.machine.measured.handling
        assert isinstance(settings, DeviceSettings), "the lowest tier is of devices"  # noqa: S101
        upstream = settings.upstream
        retries = RetryPolicy(upstream.retry_min_s, upstream.retry_max_s, upstream.patience_s)
        delivery = Delivery(retries, self._draw(DEVICES))
        steps = DeviceSteps(
            accept=step(handling.keep, handling, _HALF),
            settle=step(handling.keep, handling, _HALF),
            send=step(handling.escalate, handling, _HALF),
            take=step(handling.escalate, handling, _HALF),
        )
        station = self._station(tier, name, loop, thread)
        return DeviceAgent(station, delivery, steps, in_flight=settings.in_flight)

    def _station(
        self, tier: TierPlan, name: str, loop: Worker, thread: ModelThread
    ) -> SimulatedStation:
        settings = tier.settings
        self.world.network.join(name, self._ends(tier))
        place = settings.tier
        owner = DEVICES if tier is self._plan.tiers[0] else name
        draw = self._draw(owner)
        tally = self.world.tallies.setdefault((owner, place.name), BatchCounts())
        upward = None
        if place.above:
            upward = SimulatedDispatcher(
                self._clock,
                self.world.network,
                self._board,
                settings,
                name,
                self.world.topics,
                draw,
            )
        return SimulatedStation(
            self._clock,
            name,
            Tier(
                place.name,
                place.policy,
                place.above,
                seed=draw.getrandbits(64),
                expected={tier.task: tier.expected},
            ),
            self._batcher(tier, loop, thread, tally, draw),
            loop,
            tier.task,
            tier.spoken,
            upward,
        )

    def _batcher(
        self,
        tier: TierPlan,
        loop: Worker,
        thread: ModelThread,
        tally: BatchCounts,
        draw: random.Random,
    ) -> SimulatedBatcher:
        model, limits = tier.settings.model, tier.settings.limits
        queue: BatchQueue[WaitingPrompt] = BatchQueue(
            limits.queue_prompts, batch_prompts=model.batch_prompts
        )
        rounds: SimulatedRounds
        if isinstance(tier.model, WritingTimes):
            times = WritingServiceTimes(tier.model, draw)
            room = WritingLimits(model.batch_prompts, model.tokens_at_once, model.max_new_tokens)
            parts = (self._clock, loop, thread, times, queue, tally, room)
            rounds = SimulatedTokenRounds(*parts)
        else:
            spent = ServiceTimes(tier.model, draw)
            rounds = SimulatedBatchRounds(self._clock, loop, thread, spent, queue, tally)
        return SimulatedBatcher(self._clock, loop, queue, rounds, tally)

    def _workers(self, tier: TierPlan, processor: Processor) -> tuple[Worker, ModelThread]:
        """Return an agent's event loop, and its model's thread."""
        loop = Worker(self._clock, processor)
        return loop, ModelThread(self._clock, processor, loop, tier.model.threads)

    def _ends(self, tier: TierPlan) -> Ends:
        draw = self._draw("lines")
        return Ends(Link(self._clock, tier.line, draw), Link(self._clock, tier.line, draw))

    def _announce_devices(self, every_s: float) -> None:
        """Let devices say that they are alive: so many that they may as well come evenly."""
        statuses = every_s * self._statuses_s
        self.world.network.carry(statuses, statuses)
        self._clock.after(every_s, self._announce_devices, every_s)

    def _processor(self, machine: Machine, agent: str) -> Processor:
        key = ("machine", machine.name) if machine.single else ("agent", agent)
        if key not in self._processors:
            self._processors[key] = Processor(self._clock, machine.cores, machine.speed)
        return self._processors[key]

    def _draw(self, owner: str) -> random.Random:
        """Return what draws for an agent; ten thousand devices share one."""
        if owner not in self._draws:
            self._draws[owner] = random.Random(f"{self._seed} {owner}")  # noqa: S311 - guards nothing
        return self._draws[owner]


def build_world(plan: Scenario, seed: int = 0) -> World:
    """Put a plan together; equal seeds give equal worlds."""
    return _Builder(plan, seed).build()


def _generator(handling: AgentCosts, loop: Worker) -> GeneratorNode:
    watch = Cost(handling.watch_us, handling.watch_us)
    return GeneratorNode(
        loop,
        send=step(handling.generate, handling, _TO_SEND),
        record=step(handling.generate, handling, 1.0 - _TO_SEND),
        watch=step(watch, handling, WATCH_S),
    )


def step(cost: Cost, handling: AgentCosts, share: float = 1.0) -> Step:
    """Return a share of a measured cost as a piece of work."""
    us = 1e-6 * share
    return Step(cost.cold_us * us, cost.warm_us * us, handling.on_path)
