"""An edge agent on a memory bus, with the test in the place of device and cloud."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import msgspec

from shared.agent.build import AgentParts, build_agent
from shared.agent.service import make_service, open_results
from shared.agent.settings import AgentSettings, TierSettings
from shared.bus.memory import MemoryBroker, MemoryBus
from shared.cascade.policies import Observation
from shared.messages import Hop, Prompt, Result
from shared.telemetry.metrics import Metrics
from shared.wire.codec import decode_prompt, decode_result, encode_prompt
from tests.support.cascades import HARD, MODEL, STRICT, SURE, UNSURE
from tests.support.fakes import LookupModel
from tests.support.wires import Inbox, eventually

ROOT = "recserve/v1"
DEVICE_HOP = Hop("device", "device-1", 0.5, 0.7, 100)


class Bench:
    """An edge agent on a memory bus, with the test in the place of device and cloud."""

    def __init__(self, **changes: Any) -> None:
        self.broker = MemoryBroker()
        self.model = LookupModel("edge-1", {HARD: SURE}, otherwise=UNSURE)
        self.tester = self.broker.client("tester")
        self.results, self.above = Inbox(self.tester), Inbox(self.tester)
        tier = TierSettings(name="edge", policy=STRICT, upstream="cloud")
        settings = AgentSettings(agent="edge-1", tier=tier, model=MODEL)
        self.settings = msgspec.structs.replace(settings, **changes)
        self.parts: AgentParts = build_agent(
            self.settings,
            model=self.model,
            # A connection of its own to the tiers above leads to the same broker here.
            connect=lambda settings, will: self.broker.client(str(settings.mqtt.port), will),
            metrics=Metrics(),
        )
        self.results_kept = open_results(self.settings)
        self.service = make_service(self.settings, self.parts, self.results_kept)

    @property
    def bus(self) -> MemoryBus:
        assert isinstance(self.parts.bus, MemoryBus)
        return self.parts.bus

    async def start(self) -> Bench:
        self.parts.batcher.start()
        await self.tester.start()
        await self.tester.subscribe(f"{ROOT}/results/+", self.results.take)
        await self.tester.subscribe(f"{ROOT}/prompts/cloud-1/#", self.above.take)
        await self.tester.subscribe(f"{ROOT}/prompts/cloud-2/#", self.above.take)
        await self.service.start()
        await self.bus.start()
        self.parts.station.tier.route("classify", Observation(SURE, 0.0, 4))
        return self

    async def close(self) -> None:
        self.model.release()
        await self.parts.batcher.close()
        await self.service.drain(5)
        await self.results_kept.close()

    async def cloud(self, *agents: str, state: str = "online") -> None:
        """Let cloud agents announce themselves."""
        for agent in agents:
            status = f'{{"state":"{state}","epoch":1,"tasks":["classify"]}}'
            await self.tester.publish(f"{ROOT}/status/cloud/{agent}", status.encode(), retain=True)
        dispatcher = self.parts.station.dispatcher
        assert dispatcher is not None
        alive = set(agents) if state == "online" else set()
        await eventually(
            lambda: set(dispatcher.choice.rosters[0].alive("classify", time.monotonic())) == alive
        )

    async def send(self, text: str, *, prompt_id: UUID | None = None, **changes: Any) -> UUID:
        """Send a prompt as a device would, or as the agent of its last hop."""
        fields: dict[str, Any] = {"origin": "device-1", "deadline_s": 10.0, "hops": (DEVICE_HOP,)}
        fields |= changes
        fields.setdefault("sender", fields["hops"][-1].agent if fields["hops"] else "")
        prompt = Prompt(prompt_id or uuid4(), task="classify", text=text, **fields)
        topic = self.parts.topics.prompt("edge-1", "classify", prompt.origin, prompt.sender)
        await self.tester.publish(topic, encode_prompt(prompt, now_s=0.0))
        return prompt.id

    async def result(self) -> Result:
        came = decode_result((await self.results.next()).payload)
        assert isinstance(came, Result)
        return came

    async def escalated(self) -> tuple[str, Prompt]:
        """The next prompt that went up, and to whom."""
        message = await self.above.next()
        address = self.parts.topics.read_prompt(message.topic)
        return address.agent, decode_prompt(message.payload, address, now_s=0.0)

    def counted(self, name: str, **labels: str) -> float:
        return self.parts.metrics.registry.get_sample_value(name, labels) or 0.0
