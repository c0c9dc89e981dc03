"""A planned installation, put together: agents on machines, and lines to a broker.

Nothing happens here; ``planning.simulate`` plays prompts to it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from device_agent.delivery import Delivery
from device_agent.repeats import Backoff
from planning.batching import Batcher, Tally
from planning.clock import Clock
from planning.device import DeviceAgent, DeviceSteps
from planning.lines import Line, LineFacts
from planning.measured import Cost
from planning.network import Ends, Network
from planning.processor import Processor, Step, Worker
from planning.service_times import ServiceTimes
from planning.station import Spoken, Station
from planning.upper import UpperAgent, UpperSteps
from planning.upward import Board, Upward
from shared.admission import Admission
from shared.cascade import Tier
from shared.rates import RateLimits
from shared.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planning.measured import Handling, Measured, ModelTimes
    from shared.settings import AgentSettings

_HALF = 0.5
_TO_SEND = 0.1
WATCH_S = 0.25
"""Time between two looks of a replay at its agents."""
_STATUSES_EVERY_S = 0.1
_VIRTUAL_STATUSES_S = 10.0
DEVICES = "devices"
"""What all devices together are called where they are counted."""


class Machine(NamedTuple):
    """A kind of machine: what was measured on it, its cores, and whether there is only one.

    ``speed`` is how fast it is for one that was measured: half as fast at 0.5.
    """

    name: str
    measured: Measured
    cores: float
    single: bool = False
    speed: float = 1.0


class TierPlan(NamedTuple):
    """One tier: the settings its agents share, who and where they are, and what their model says.

    ``virtual`` is for devices that live in one process, as those of a replay do.
    """

    settings: AgentSettings
    names: Sequence[str]
    machine: Machine
    model: ModelTimes
    spoken: Mapping[str, Spoken]
    line: LineFacts = LineFacts()
    virtual: bool = False


class WorldPlan(NamedTuple):
    """Tiers from the device up, and the machine that the broker runs on."""

    tiers: Sequence[TierPlan]
    broker: Machine
    root: str = "recserve"


@dataclass
class World:
    """Everything that takes part."""

    clock: Clock
    network: Network
    topics: Topics
    devices: dict[str, DeviceAgent] = field(default_factory=dict)
    uppers: dict[str, UpperAgent] = field(default_factory=dict)
    processors: dict[str, Processor] = field(default_factory=dict)
    """By the name of a machine that is single, else by the agent's."""
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """What models did, by agent and tier; the devices together."""
    generator: Generator | None = None
    """The replay that virtual devices are part of."""

    @property
    def agents(self) -> dict[str, DeviceAgent | UpperAgent]:
        """All agents by name."""
        return {**self.devices, **self.uppers}


class Generator(NamedTuple):
    """A replay's event loop, and what it does there: send and record a prompt, watch agents."""

    loop: Worker
    send: Step
    record: Step
    watch: Step


class _Builder:
    def __init__(self, plan: WorldPlan, seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._clock = Clock()
        self._draws: dict[str, random.Random] = {}
        self._board = Board()
        topics = Topics(plan.root)
        machine = plan.broker
        processors: dict[str, Processor] = {}
        self._processors = processors
        handling = machine.measured.handling
        broker = Worker(self._clock, self._processor(machine, "broker"))
        network = Network(self._clock, broker, step(handling.message, handling))
        self.world = World(self._clock, network, topics, processors=processors)
        self._readers: dict[str, DeviceAgent | UpperAgent] = {}

    def build(self) -> World:
        """Put everything in its place, from the top down: who sends must know who hears."""
        for tier in reversed(self._plan.tiers[1:]):
            for number, name in enumerate(tier.names):
                self._add_upper(tier, name, number)
        self._add_devices(self._plan.tiers[0])
        for tier in self._plan.tiers:
            self._announce(tier)
        return self.world

    def _add_upper(self, tier: TierPlan, name: str, number: int) -> None:
        settings, handling = tier.settings, tier.machine.measured.handling
        processor = self._processor(tier.machine, name)
        loop, thread = self._workers(tier, processor)
        limits = settings.limits
        extra = more(handling.pass_on, handling.answer)
        agent = UpperAgent(
            self._station(tier, name, loop, thread),
            Admission(
                RateLimits(limits.device_prompts_s, limits.device_burst),
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
        self.world.uppers[name] = self._readers[name] = agent
        # Agents were not all started at one moment, and do not all speak at one.
        first_s = settings.heartbeat_s * number / len(tier.names)
        agent.beat(self._board, first_s)

    def _add_devices(self, tier: TierPlan) -> None:
        handling = tier.machine.measured.handling
        steps = DeviceSteps(
            accept=step(handling.keep, handling, _HALF),
            settle=step(handling.keep, handling, _HALF),
            send=step(handling.escalate, handling, _HALF),
            take=step(handling.escalate, handling, _HALF),
        )
        loop = thread = None
        for name in tier.names:
            if loop is None or thread is None or not tier.virtual:
                processor = self._processor(tier.machine, name)
                loop, thread = self._workers(tier, processor)
            upstream = tier.settings.upstream
            delivery = Delivery(
                Backoff(upstream.retry_min_s, upstream.retry_max_s, upstream.patience_s),
                self._draw(DEVICES),
            )
            agent = DeviceAgent(self._station(tier, name, loop, thread), delivery, steps)
            self.world.devices[name] = self._readers[name] = agent
        if tier.virtual and loop is not None:
            watch = Cost(handling.watch_us, handling.watch_us)
            self.world.generator = Generator(
                loop,
                send=step(handling.generate, handling, _TO_SEND),
                record=step(handling.generate, handling, 1.0 - _TO_SEND),
                watch=step(watch, handling, WATCH_S),
            )

    def _station(self, tier: TierPlan, name: str, loop: Worker, thread: Worker) -> Station:
        settings = tier.settings
        self.world.network.join(name, self._ends(tier))
        place = settings.tier
        owner = DEVICES if tier is self._plan.tiers[0] else name
        draw = self._draw(owner)
        tally = self.world.tallies.setdefault((owner, place.name), Tally())
        upward = None
        if place.above:
            upward = Upward(
                self._clock,
                self.world.network,
                self._board,
                settings,
                name,
                self.world.topics,
                draw,
            )
        return Station(
            self._clock,
            name,
            Tier(place.name, place.policy, place.above, seed=draw.getrandbits(64)),
            Batcher(
                self._clock,
                loop,
                thread,
                ServiceTimes(tier.model, draw),
                tally,
                batch_prompts=settings.model.batch_prompts,
                queue_prompts=settings.limits.queue_prompts,
            ),
            loop,
            tier.spoken,
            upward,
        )

    def _workers(self, tier: TierPlan, processor: Processor) -> tuple[Worker, Worker]:
        """Return an agent's event loop, and its model's thread or threads."""
        loop = Worker(self._clock, processor)
        return loop, Worker(self._clock, processor, tier.model.threads)

    def _ends(self, tier: TierPlan) -> Ends:
        draw = self._draw("lines")
        return Ends(Line(self._clock, tier.line, draw), Line(self._clock, tier.line, draw))

    def _announce(self, tier: TierPlan) -> None:
        """Put the tier's statuses on the broker: to their sender, and to all tiers below."""
        name, agents = tier.settings.tier.name, len(tier.names)
        readers = 1 + sum(
            len(below.names) for below in self._plan.tiers if name in below.settings.tier.above
        )
        heartbeat_s = tier.settings.heartbeat_s
        if tier is self._plan.tiers[0]:
            if tier.virtual:
                heartbeat_s = max(heartbeat_s, agents / _VIRTUAL_STATUSES_S)
            # So many that they may as well come evenly.
            in_a_beat = readers * agents * _STATUSES_EVERY_S / heartbeat_s
            self.world.network.announce(_STATUSES_EVERY_S, in_a_beat)
        else:
            for _ in range(agents):
                self.world.network.announce(heartbeat_s, readers)

    def _processor(self, machine: Machine, agent: str) -> Processor:
        name = machine.name if machine.single else agent
        return self._processors.setdefault(
            name, Processor(self._clock, machine.cores, machine.speed)
        )

    def _draw(self, owner: str) -> random.Random:
        """Return what draws for an agent; ten thousand devices share one."""
        if owner not in self._draws:
            self._draws[owner] = random.Random(f"{self._seed} {owner}")  # noqa: S311 - guards nothing
        return self._draws[owner]


def build_world(plan: WorldPlan, seed: int = 0) -> World:
    """Put a plan together; equal seeds give equal worlds."""
    return _Builder(plan, seed).build()


def step(cost: Cost, handling: Handling, share: float = 1.0) -> Step:
    """Return a share of a measured cost as a piece of work."""
    us = 1e-6 * share
    return Step(cost.cold_us * us, cost.warm_us * us, handling.on_path)


def more(cost: Cost, than: Cost) -> Cost:
    """Return what one cost has on top of another."""
    cold_us = max(cost.cold_us - than.cold_us, 0.0)
    return type(cost)(cold_us, max(cost.warm_us - than.warm_us, 0.0))
