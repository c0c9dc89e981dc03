"""Every kind of source, from what comes in to where the answer goes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from device_agent import Device
from device_agent.settings import DeviceSettings
from device_agent.settings.sources import FileSource, FolderSource, MqttSource
from device_agent.sources import running_sources
from device_agent.sources.priority_semaphore import PrioritySemaphore
from shared.agent.settings import TierSettings
from shared.bus.memory import MemoryBus
from shared.errors import SettingsError
from shared.settings.file import load
from shared.telemetry.metrics import Metrics
from tests.support.cascades import EASY, HARD, device_settings
from tests.support.fakes import FAILS, SteppingModel
from tests.support.source_places import place, publisher
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path

LOGS = MqttSource(topics="factory/+/log", answer_to="factory/{1}/log/label", answer_as="label")


# -- MQTT --------------------------------------------------------------------------------------


async def test_a_message_is_answered_on_the_topic_made_of_its_own() -> None:
    wire = MemoryWire()
    async with place(wire, sources={"logs": LOGS}):
        bus, inbox = await publisher(wire, "factory/+/log/label")
        await bus.publish("factory/press-3/log", EASY.encode())
        message = await inbox.next()
        assert (message.topic, message.payload) == ("factory/press-3/log/label", b"device-1")


async def test_json_gives_the_text_and_the_fields_of_a_template() -> None:
    wire = MemoryWire()
    source = MqttSource(
        topics="plant/+/+/event",
        text="/message/0/text",
        template="{2} of {1} ({/machine~1id}): {text}",
        answer_to="labels/{2}",
    )
    async with place(wire, sources={"events": source}) as here:
        bus, inbox = await publisher(wire, "labels/+")
        event = {"message": [{"text": "belt squeals"}], "machine/id": 7}
        await bus.publish("plant/hall-1/press/event", json.dumps(event).encode())
        answer = json.loads((await inbox.next()).payload)
        assert here.model.seen[-1] == "press of hall-1 (7): belt squeals"
        assert (answer["stream"], answer["topic"]) == ("events", "plant/hall-1/press/event")
        assert answer["label"] == "device-1"


async def test_prompts_of_a_source_have_the_options_that_it_names() -> None:
    wire = MemoryWire()
    source = MqttSource(
        topics="lines", answer_to="texts", task="generate", options={"max_new_tokens": 9}
    )
    settings = device_settings(wire, tier=TierSettings(name="device"), sources={"lines": source})
    opened = Device.open(settings, model=SteppingModel(), connect=wire.connect, metrics=Metrics())
    async with opened as device, running_sources(device):
        bus, inbox = await publisher(wire, "texts")
        await bus.publish("lines", b"write")
        answer = json.loads((await inbox.next()).payload)
    assert (answer["text"], answer["tokens_out"]) == ("write", 9)


async def test_an_answer_that_the_broker_does_not_carry_is_counted_and_the_stream_goes_on() -> None:
    wire = MemoryWire()
    async with place(wire, sources={"logs": LOGS}) as here:
        bus, inbox = await publisher(wire, "factory/+/log/label")
        memory = here.device.parts.bus
        assert isinstance(memory, MemoryBus)
        memory._broker.packet_bytes = 20
        await bus.publish("factory/7/log", EASY.encode())
        await eventually(lambda: here.faults("logs", "refused") == 1)
        memory._broker.packet_bytes = 1_000
        await bus.publish("factory/8/log", EASY.encode())
        assert (await inbox.next()).topic == "factory/8/log/label"


@pytest.mark.parametrize(
    "payload", [b"\xff", b"no json", b"{}", b'{"message": {"text": 1}}', b"[" * 5_000]
)
async def test_what_cannot_be_read_is_counted_and_the_stream_goes_on(payload: bytes) -> None:
    wire = MemoryWire()
    source = MqttSource(topics="in/+", text="/message", answer_to="out/{1}")
    async with place(wire, sources={"in": source}) as here:
        bus, inbox = await publisher(wire, "out/+")
        await bus.publish("in/a", payload)
        await bus.publish("in/b", json.dumps({"message": EASY}).encode())
        assert (await inbox.next()).topic == "out/b"
        assert here.faults("in", "unreadable") == 1


async def test_a_topic_of_labels_carries_labels_only() -> None:
    wire = MemoryWire()
    async with place(wire, sources={"logs": LOGS}) as here:
        bus, inbox = await publisher(wire, "factory/#")
        for payload in (b"\t\n", b"", b"x" * 200_000, FAILS.encode(), EASY.encode()):
            await bus.publish("factory/7/log", payload)
        await eventually(lambda: here.faults("logs", "failed") == 3)

        def said() -> list[bytes]:
            return [m.payload for m in inbox.messages if m.topic == "factory/7/log/label"]

        await eventually(lambda: bool(said()))
        assert said() == [b"device-1"]


async def test_sources_that_read_the_same_messages_each_answer_each_once() -> None:
    wire = MemoryWire()
    sources = {
        "label": MqttSource(topics="hall/+", answer_to="label/{1}", answer_as="label"),
        "whole": MqttSource(topics="hall/+", answer_to="whole/{1}"),
        "wide": MqttSource(topics="hall/#", answer_to="wide"),
    }
    async with place(wire, sources=sources):
        bus, inbox = await publisher(wire, "label/+")
        await bus.subscribe("whole/+", inbox.take)
        await bus.subscribe("wide", inbox.take)
        for number in range(3):
            await bus.publish(f"hall/{number}", EASY.encode())
        await eventually(lambda: len(inbox.messages) >= 9)
        assert sorted(m.topic for m in inbox.messages) == sorted(
            [f"{kind}/{number}" for kind in ("label", "whole") for number in range(3)]
            + ["wide"] * 3
        )


async def test_a_source_whose_subscription_is_refused_is_reported_and_the_rest_goes_on() -> None:
    wire = MemoryWire()
    wire.broker.deny("secret/+")
    sources = {"logs": LOGS, "secret": MqttSource(topics="secret/+", answer_to="out/{1}")}
    async with place(wire, sources=sources) as here:
        bus, inbox = await publisher(wire, "#")
        assert here.faults("secret", "refused") == 1
        await bus.publish("factory/a/log", EASY.encode())
        await eventually(lambda: any(m.payload == b"device-1" for m in inbox.messages))

        wire.broker.denied.clear()
        here.device.parts.bus.reconnect("somebody gave the right")
        await here.device.parts.bus.wait_connected(5)
        await bus.publish("secret/b", EASY.encode())
        await eventually(lambda: any(m.topic == "out/b" for m in inbox.messages))


async def test_when_the_queue_is_full_the_oldest_is_dropped_and_counted() -> None:
    wire = MemoryWire()
    source = msgspec.structs.replace(LOGS, in_flight=1, queue_prompts=2, answer_as="json")
    async with place(wire, sources={"logs": source}) as here:
        bus, inbox = await publisher(wire, "factory/+/log/label")
        here.model.hold()
        await bus.publish("factory/0/log", EASY.encode())
        await eventually(lambda: here.model.busy)
        for number in range(1, 6):
            await bus.publish(f"factory/{number}/log", EASY.encode())
        await eventually(lambda: here.faults("logs", "dropped") == 3)
        here.model.release()
        answered = [json.loads((await inbox.next()).payload)["topic"] for _ in range(3)]
        assert answered == ["factory/0/log", "factory/4/log", "factory/5/log"]


async def test_a_rate_limit_spreads_prompts_out() -> None:
    wire = MemoryWire()
    source = msgspec.structs.replace(LOGS, prompts_s=20.0)
    async with place(wire, sources={"logs": source}):
        bus, inbox = await publisher(wire, "factory/+/log/label")
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        for _ in range(7):
            await bus.publish("factory/a/log", EASY.encode())
        for _ in range(7):
            await inbox.next()
        assert 0.28 < loop.time() - started_s < 3


async def test_what_waits_above_does_not_stall_the_stream() -> None:
    wire = MemoryWire()
    tier = TierSettings(name="device", policy=device_settings(wire).tier.policy, upstream="edge")
    source = msgspec.structs.replace(LOGS, answer_as="json", in_flight=3)
    async with place(wire, tier, sources={"logs": source}, in_flight=1) as here:
        bus, inbox = await publisher(wire, "factory/+/log/label")
        await here.tiers.sees(here.device, "edge-1")
        here.tiers.models["edge-1"].hold()
        for text in (HARD, HARD, EASY):
            await bus.publish("factory/a/log", text.encode())
        assert json.loads((await inbox.next()).payload)["tier"] == "device"
        here.tiers.models["edge-1"].release()
        tiers = [json.loads((await inbox.next()).payload)["tier"] for _ in range(2)]
        assert tiers == ["edge", "edge"]


# -- files and folders -------------------------------------------------------------------------


async def test_files_of_a_folder_move_with_their_answers(tmp_path: Path) -> None:
    source = FolderSource(path=str(tmp_path / "in"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(EASY)
    (tmp_path / "in" / "b.txt").write_text(FAILS)
    (tmp_path / "in" / "c.txt").write_bytes(b"\xff")
    (tmp_path / "in" / "d.csv").write_text("not ours")
    async with place(MemoryWire(), sources={"inbox": source}) as here:
        done, failed = tmp_path / "in" / "done", tmp_path / "in" / "failed"
        await eventually(lambda: len(list(failed.glob("*.json"))) == 2)
        await eventually((done / "a.txt").exists)
        assert json.loads((done / "a.txt.json").read_text())["label"] == "device-1"
        assert json.loads((failed / "b.txt.json").read_text())["error"] == "model_failed"
        assert here.faults("inbox", "unreadable") == 1
        assert (tmp_path / "in" / "d.csv").exists()


# -- turns and settings ------------------------------------------------------------------------


async def test_the_highest_priority_goes_first_and_a_cancelled_one_holds_no_place() -> None:
    turns, order = PrioritySemaphore(1), []

    async def wait(name: str, priority: int) -> None:
        async with turns.hold(priority):
            order.append(name)
            await asyncio.sleep(0)

    async with turns.hold(0):
        waiting = [asyncio.create_task(wait(name, p)) for name, p in (("a", 0), ("b", 5), ("c", 5))]
        gone = asyncio.create_task(wait("gone", 9))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*waiting), 2)
    assert order == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{kind: mqtt, topics: f/+/log, answer_to: 'f/{2}/x'}", r"answer_to names \{2\}"),
        ("{kind: mqtt, topics: f/+/log, answer_to: 'f/{1}/log'}", "answer its own answers"),
        ("{kind: mqtt, topics: '+/in', answer_to: 'out/{1}'}", "answer its own answers"),
        ("{kind: mqtt, topics: 'f/a#', answer_to: g}", "no MQTT filter.*last level"),
        ("{kind: mqtt, topics: 'f/x+/log', answer_to: g}", "no MQTT filter.*whole level"),
        ("{kind: mqtt, topics: f, answer_to: g, retained: never}", "retained"),
        ("{kind: file, path: /tmp/a.log, answers: /tmp/x/../a.log}", "answer its own answers"),
        ("{kind: file, path: a.log, answers: b.log, from: middle}", "from"),
        ("{kind: folder, path: in, pattern: '../*.txt'}", "pattern .* other folders"),
        ("{kind: mqtt, topics: 'f/#', answer_to: 'f/label'}", "answer its own answers"),
        ("{kind: mqtt, topics: f/log, answer_to: 'f/+'}", "no topic to publish on"),
        ("{kind: mqtt, topics: f/+, answer_to: g, template: '{who}'}", r"template names \{who\}"),
        ("{kind: mqtt, topics: f/+, answer_to: g, text: message}", "no JSON pointer"),
        ("{kind: mqtt, topics: f/+, answer_to: g, overflow: block}", "overflow"),
        ("{kind: mqtt, topics: f, answer_to: g, options: {labels: [a]}}", "options: .*labels"),
        (
            "{kind: file, path: a, answers: b, task: generate, options: {max_tokens: 3}}",
            "options: .*did you mean max_new_tokens",
        ),
        ("{kind: kafka, topics: f}", "kafka"),
        ("{kind: file, path: x}", "answers"),
    ],
)
def test_bad_settings_of_a_source_are_one_sentence_with_the_key(
    tmp_path: Path, source: str, said: str
) -> None:
    path = tmp_path / "device.yaml"
    path.write_text(
        f"agent: d\ntier: {{name: device}}\nmodel: {{source: x}}\nsources: {{belts: {source}}}\n"
    )
    with pytest.raises(SettingsError, match=said) as raised:
        load(DeviceSettings, path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


async def test_a_place_that_cannot_be_written_is_named_with_its_source(tmp_path: Path) -> None:
    source = FileSource(path="x", answers=str(tmp_path / "missing" / "answers.jsonl"))
    with pytest.raises(SettingsError, match=r"sources\.app: answers: .*missing"):
        async with place(MemoryWire(), sources={"app": source}):
            pass
