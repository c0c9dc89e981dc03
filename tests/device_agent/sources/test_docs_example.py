"""The example of docs/streams.md, with its settings, the committed model and a real broker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from device_agent import Device
from device_agent.sources import running_sources
from shared.metrics import Metrics
from shared.mqtt_bus import MqttBus
from shared.settings import DeviceSettings, MqttSettings, UpstreamSettings
from shared.settings_file import load
from shared.topics import matches
from tests.processes import BrokerProcess
from tests.wires import CONNECT_S, Inbox, settled

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "streams.md").read_text(encoding="utf-8")
SETTINGS = load(DeviceSettings, ROOT / "configs" / "device-streams.yaml")


def published() -> list[tuple[str, str]]:
    """Topic and message of every line that the page tells a reader to type."""
    return re.findall(r"^mosquitto_pub -t (\S+) -m '(.*)'$", PAGE, re.MULTILINE)


def printed() -> Iterator[tuple[str, str]]:
    """Topic and label of every line that the page shows as output."""
    for topic, payload in re.findall(r"^((?:factory|plant)/\S+) (.+)$", PAGE, re.MULTILINE):
        yield topic, json.loads(payload)["label"] if payload.startswith("{") else payload


def blocks() -> list[Any]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


async def test_what_the_page_types_gives_what_the_page_prints(tmp_path: Path) -> None:
    broker = BrokerProcess("mosquitto", tmp_path).start()
    mqtt = MqttSettings(port=broker.port, protocol="5")
    settings = msgspec.structs.replace(
        SETTINGS, mqtt=mqtt, upstream=UpstreamSettings(patience_s=0.1)
    )
    async with Device.open(settings, metrics=Metrics()) as device, running_sources(device):
        await device.parts.bus.wait_connected(CONNECT_S)
        bus = await settled(MqttBus(mqtt, "reader"))
        inbox = Inbox(bus)
        await bus.subscribe("factory/+/log/label", inbox.take)
        await bus.subscribe("plant/+/+/mood", inbox.take)
        seen = {}
        for topic, message in published():
            await bus.publish(topic, message.encode())
            came = await inbox.next()
            text = came.payload.decode()
            seen[came.topic] = json.loads(text)["label"] if text.startswith("{") else text
        await bus.close()
    broker.kill()

    assert len(seen) == 3
    assert seen == dict(printed())


def test_home_assistant_and_node_red_read_what_the_source_writes() -> None:
    home_assistant, node_red = blocks()
    (listener,) = [node for node in node_red if node["type"] == "mqtt in"]
    labels = dict(printed())
    assert home_assistant["state_topic"] in labels
    assert all(matches(listener["topic"], topic) for topic in labels if "/log/" in topic)
    assert {wire for node in node_red for out in node.get("wires", []) for wire in out} <= {
        node["id"] for node in node_red
    }
