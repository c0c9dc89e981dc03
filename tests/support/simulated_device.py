"""One device in simulated time, and agents above it that come when a test says so."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from device_agent.delivery.protocol import Delivery
from device_agent.delivery.retry import RetryPolicy
from experiments.evaluation.answer_store import prompt_key
from experiments.simulator.clock import SimulatedClock
from experiments.simulator.cpu import Processor, Step, Worker
from experiments.simulator.device import DeviceAgent, DeviceSteps
from experiments.simulator.dispatcher import SimulatedDispatcher, StatusBoard
from experiments.simulator.link import Link, LinkFacts
from experiments.simulator.network import Ends, Network
from experiments.simulator.station import RecordedAnswer, SimulatedStation
from shared.agent.settings import UpstreamSettings
from shared.cascade.policies import PassAll
from shared.cascade.tier import Tier
from shared.membership.status import Status
from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.wire.topics import Topics
from tests.support.simulated import model_times, settings, simulated_batcher

if TYPE_CHECKING:
    from experiments.simulator.ports import Reader

PATIENCE_S = 5.0
HEARTBEAT_S = 10.0
NO_WORK = Step(0.0, 0.0, 1.0)


class Edge:
    """An agent above that answers at once."""

    def __init__(self, place: Place, name: str = "edge-1") -> None:
        self.name = name
        self.took_s: list[float] = []
        self._place = place

    def announce(self) -> None:
        status = Status("online", 1, ("classify",), heartbeat_s=HEARTBEAT_S)
        self._place.board.announce("edge", self, status, self._place.clock.now_s)

    def take_prompt(self, prompt: Prompt) -> None:
        self.took_s.append(self._place.clock.now_s)
        hop = Hop("edge", self.name, 0.9, 0.1, 10)
        self._place.reader.take_result(Result(prompt.id, Label("better"), (hop,)))


class Place:
    """One device that passes everything on; agents above come when a test says so."""

    def __init__(self, listen_s: float = 5.0) -> None:
        self.clock = SimulatedClock()
        self.board = StatusBoard()
        self.results: list[tuple[float, Result]] = []
        loop = Worker(self.clock, Processor(self.clock, 2))
        network = Network(loop, NO_WORK)
        draw = random.Random(0)
        for agent in ("device-1", "edge-1", "edge-2"):
            line = Link(self.clock, LinkFacts(), draw)
            network.join(agent, Ends(line, line))
        made = msgspec.structs.replace(
            settings("device", PassAll()), upstream=UpstreamSettings(listen_s=listen_s)
        )
        self.dispatcher = SimulatedDispatcher(
            self.clock, network, self.board, made, "device-1", Topics(), draw
        )
        batcher = simulated_batcher(
            self.clock, loop, model_times(1000.0), batch_prompts=4, queue_prompts=10
        )
        station = SimulatedStation(
            self.clock,
            "device-1",
            Tier("device", PassAll(), ["edge"]),
            batcher,
            loop,
            "classify",
            {prompt_key("so so"): RecordedAnswer(Label("own"), 0.9)},
            self.dispatcher,
        )
        delivery = Delivery(RetryPolicy(0.5, 4.0, PATIENCE_S), draw)
        steps = DeviceSteps(NO_WORK, NO_WORK, NO_WORK, NO_WORK)
        self.device = DeviceAgent(station, delivery, steps, in_flight=4)
        self.reader: Reader = self.device

    def ask(self, number: int = 1) -> None:
        deadline_s = self.clock.now_s + 60.0
        prompt = Prompt(UUID(int=number), "device-1", "classify", "so so", deadline_s)
        self.device.ask(prompt, lambda result: self.results.append((self.clock.now_s, result)))
