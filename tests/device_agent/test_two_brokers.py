"""A site's broker and a cloud's broker, joined by nothing but an edge agent that is on both."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from device_agent import Device
from device_agent.settings import DeviceSettings
from shared.agent.run import serving
from shared.agent.settings import AgentSettings, LimitSettings, TierSettings, UpstreamSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.cascade.policies import PassAll, Quality
from shared.messages import Prompt
from shared.tasks.classify import Label
from shared.telemetry.metrics import Metrics
from shared.wire.codec import encode_prompt
from tests.support.cascades import MODEL
from tests.support.fakes import LookupModel
from tests.support.processes import BrokerProcess
from tests.support.wires import CONNECT_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import AgentParts


class Brokers:
    def __init__(self, folder: Path) -> None:
        self.site = BrokerProcess("mosquitto", folder / "site").start()
        self.cloud = BrokerProcess("mosquitto", folder / "cloud").start()
        self.stack = AsyncExitStack()
        self.models: dict[str, LookupModel] = {}

    async def serve(self, name: str, tier: TierSettings, **changes: Any) -> AgentParts:
        settings = AgentSettings(
            agent=name,
            tier=tier,
            model=MODEL,
            mqtt=mqtt(self.cloud if name == "cloud-1" else self.site),
            heartbeat_s=0.5,
            limits=LimitSettings(drain_s=0.5),
        )
        settings = msgspec.structs.replace(settings, **changes)
        model = self.models[name] = LookupModel(name)
        parts = await self.stack.enter_async_context(
            serving(settings, model=model, metrics=Metrics())
        )
        for bus in parts.buses:
            await bus.wait_connected(CONNECT_S)
        return parts

    async def device(self) -> Device:
        settings = DeviceSettings(
            agent="device-1",
            tier=TierSettings(name="device", policy=PassAll(), upstream="edge"),
            model=MODEL,
            mqtt=mqtt(self.site),
            upstream=UpstreamSettings(patience_s=8),
            limits=LimitSettings(timeout_s=10, drain_s=0.5),
        )
        opened = Device.open(settings, model=LookupModel("device-1"), metrics=Metrics())
        return await self.stack.enter_async_context(opened)


def mqtt(broker: BrokerProcess) -> MqttSettings:
    return MqttSettings(port=broker.port, protocol="5", reconnect_min_s=0.05, reconnect_max_s=0.3)


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Brokers]:
    made = Brokers(tmp_path)
    yield made
    await made.stack.aclose()
    made.site.kill()
    made.cloud.kill()


def edge(policy: Any) -> TierSettings:
    return TierSettings(name="edge", policy=policy, upstream="cloud")


@pytest.mark.parametrize("policy", [PassAll(), Quality(audit=1.0)], ids=["blind", "learning"])
async def test_the_clouds_answer_comes_back_through_the_edge_with_every_hop(
    brokers: Brokers, policy: Any
) -> None:
    await brokers.serve("cloud-1", TierSettings(name="cloud"))
    above = UpstreamSettings(mqtt=mqtt(brokers.cloud))
    await brokers.serve("edge-1", edge(policy), upstream=above)
    device = await brokers.device()

    results = [await device.ask(f"prompt {number}") for number in range(5)]

    assert {result.outcome for result in results} == {Label("cloud-1")}
    for result in results:
        assert [hop.agent for hop in result.hops] == ["device-1", "edge-1", "cloud-1"]
        assert result.degraded == ""
    assert len(brokers.models["cloud-1"].seen) == 5


async def test_a_repeat_is_answered_by_the_edge_from_memory(brokers: Brokers) -> None:
    await brokers.serve("cloud-1", TierSettings(name="cloud"))
    above = UpstreamSettings(mqtt=mqtt(brokers.cloud))
    parts = await brokers.serve("edge-1", edge(PassAll()), upstream=above)
    device = await brokers.device()
    result = await device.ask("once")

    escalated_again = parts.metrics.repeats.labels("prompt")
    prompt_topic = device.parts.topics.prompt("edge-1", "classify", "device-1")
    prompt = Prompt(result.id, "device-1", "classify", "once", 10.0, result.hops[:1])
    await device.parts.bus.publish(prompt_topic, encode_prompt(prompt, 0.0))

    await eventually(lambda: escalated_again._value.get() == 1)
    assert len(brokers.models["cloud-1"].seen) == 1


async def test_when_the_clouds_broker_dies_the_edge_answers_and_says_so(brokers: Brokers) -> None:
    await brokers.serve("cloud-1", TierSettings(name="cloud"))
    above = UpstreamSettings(mqtt=mqtt(brokers.cloud))
    await brokers.serve("edge-1", edge(PassAll()), upstream=above)
    device = await brokers.device()
    assert (await device.ask("first")).tier == "cloud"

    brokers.cloud.kill()
    result = await device.ask("second")

    assert result.tier == "edge"
    assert result.degraded == "no cloud agent took the prompt"

    brokers.cloud.start()
    for number in range(100):
        if (await device.ask(f"later {number}")).tier == "cloud":
            return
        await asyncio.sleep(0.1)
    pytest.fail("the cloud did not come back")
