"""Virtual devices: many in one process, each its own, on one set of weights."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest

from device_agent.settings import DeviceSettings
from experiments.replay.device_targets import VirtualDevices
from experiments.replay.target import ReplayRequest
from experiments.testbed.fleet import Fleet, names_like
from experiments.testbed.processes import free_port
from shared.agent.settings import UpstreamSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import NotConnected, SettingsError
from shared.settings.file import load
from shared.wire.topics import Topics
from tests.support.wires import Inbox, MqttWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus import Message

CONFIG = Path(__file__).parents[3] / "configs" / "device.yaml"


def settings(mqtt: MqttSettings) -> DeviceSettings:
    return msgspec.structs.replace(
        load(DeviceSettings, CONFIG), mqtt=mqtt, upstream=UpstreamSettings(patience_s=0.1)
    )


def question(device: str, timeout_s: float = 2.0) -> ReplayRequest:
    return ReplayRequest(uuid4(), device, "classify", "a lovely film from start to end", timeout_s)


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def test_every_device_has_its_own_identity_and_window(mosquitto: MqttWire) -> None:
    names = names_like("virtual", 12)
    bus = await settled(mosquitto.bus("watcher"))
    inbox = Inbox(bus)
    topics = Topics(mosquitto.root)
    await bus.subscribe(topics.status("device", "+"), inbox.take)

    async with Fleet.open(settings(mosquitto.settings()), names) as fleet:
        await eventually(lambda: _agents(topics, inbox.messages) == set(names), "all statuses")
        first = [await VirtualDevices(fleet).ask(question(name)) for name in names]
        more = [await VirtualDevices(fleet).ask(question(names[0])) for _ in names]

    assert list(fleet.devices) == names == ["virtual-01", *names[1:]]
    assert [reply.hops[0].agent for reply in first] == names
    # Each window began alike; after a dozen prompts its threshold is another.
    (begun,) = {reply.hops[0].threshold for reply in first}
    assert more[-1].hops[0].threshold != begun


def _agents(topics: Topics, messages: Sequence[Message]) -> set[str]:
    return {topics.read_status(message.topic).agent for message in messages}


async def test_a_broker_that_is_not_there_is_named() -> None:
    nowhere = MqttSettings(port=free_port(), protocol="5")

    with pytest.raises(NotConnected, match="no broker at"):
        async with Fleet.open(settings(nowhere), ["virtual-1"], timeout_s=0.3):
            pass


async def test_more_devices_than_this_system_has_files_for_are_refused() -> None:
    with pytest.raises(SettingsError, match="open files and this system allows"):
        async with Fleet.open(settings(MqttSettings()), names_like("virtual", 10_000_000)):
            pass


async def test_one_user_name_for_many_devices_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"would share mqtt\.username"):
        async with Fleet.open(settings(MqttSettings(username="device-1")), ["virtual-1"]):
            pass


@pytest.mark.slow
async def test_five_hundred_devices_connect_within_ten_seconds_in_little_memory(
    mosquitto: MqttWire,
) -> None:
    before = resident_megabytes()

    async with Fleet.open(settings(mosquitto.settings()), names_like("virtual", 500)) as fleet:
        assert fleet.connected_s < 10
        asked = VirtualDevices(fleet)
        replies = await asyncio.gather(
            *(asked.ask(question(name, timeout_s=30)) for name in asked.devices)
        )
        assert resident_megabytes() - before < 1000

    assert {reply.error for reply in replies} == {""}
    assert resident_megabytes() < 1500
