"""The example of docs/streams.md, with its settings, the committed model and a real broker."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from device_agent import Device
from device_agent.settings import DeviceSettings
from device_agent.settings.sources import MqttSource
from device_agent.sources import running_sources
from shared.agent.settings import UpstreamSettings
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.runtimes.bundle import Bundle
from shared.settings.file import load
from shared.telemetry.metrics import Metrics
from shared.wire.filters import matches
from shared.wire.topics import Topics
from tests.support.processes import BrokerProcess
from tests.support.wires import CONNECT_S, Inbox, settled

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


def test_home_assistant_reads_what_the_sources_keep_and_knows_when_the_device_is_gone() -> None:
    label, whole, _ = blocks()
    topics = Topics(SETTINGS.mqtt.root)
    labels = Bundle.open(SETTINGS.model.source).manifest.labels
    sources = [s for s in SETTINGS.sources.values() if isinstance(s, MqttSource)]
    kept = {source.answers for source in sources if source.retain}
    for sensor in (label, whole):
        assert sensor["state_topic"] in dict(printed())
        assert any(matches(answers, sensor["state_topic"]) for answers in kept)
        assert sensor["availability_topic"] == topics.status(SETTINGS.tier.name, SETTINGS.agent)
        assert set(sensor["options"]) == set(labels)
    assert whole["json_attributes_topic"] == whole["state_topic"]


def test_the_node_red_flow_is_laid_out_and_counts_what_the_source_writes() -> None:
    *_, flow = blocks()
    nodes = {node["id"]: node for node in flow}
    (listener,) = [node for node in flow if node["type"] == "mqtt in"]
    assert all(matches(listener["topic"], topic) for topic, _ in printed() if "/log/" in topic)
    drawn = [node for node in flow if node["type"] not in ("tab", "mqtt-broker")]
    assert len({(node["x"], node["y"]) for node in drawn}) == len(drawn)
    assert {nodes[node["z"]]["type"] for node in drawn} == {"tab"}
    assert nodes[listener["broker"]]["type"] == "mqtt-broker"
    met, node = [listener["type"]], listener
    while node["wires"]:
        node = nodes[node["wires"][0][0]]
        met.append(node["type"])
    assert met == ["mqtt in", "switch", "function", "debug"]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_node_red_function_counts_each_press_by_itself() -> None:
    *_, flow = blocks()
    (count,) = [node["func"] for node in flow if node["type"] == "function"]
    script = (
        "const kept = {}; const context = {get: k => kept[k], set: (k, v) => {kept[k] = v}};"
        f"const count = new Function('msg', 'context', {json.dumps(count)});"
        "for (const press of ['press-3', 'press-4', 'press-3'])"
        " console.log(JSON.stringify("
        "count({topic: `factory/${press}/log/label`}, context).payload));"
    )
    said = subprocess.run(["node", "-e", script], capture_output=True, check=True).stdout
    assert [json.loads(line) for line in said.splitlines()] == [
        {"press": "press-3", "negative": 1},
        {"press": "press-4", "negative": 1},
        {"press": "press-3", "negative": 2},
    ]
