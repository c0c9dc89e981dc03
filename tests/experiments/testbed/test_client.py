"""A program that asks a device, and knows by its questions' ids what is meant for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from experiments.replay.device_targets import AskedDevices, read_answer
from experiments.replay.records import LOST
from experiments.replay.target import ReplayRequest
from experiments.testbed import client as testbed
from experiments.testbed.client import DeviceClient
from shared.messages import Hop
from shared.tasks.classify import Label
from shared.wire.topics import Topics
from tests.support.wires import Inbox, MqttWire, eventually, settled

HOP = {"tier": "device", "agent": "d", "confidence": 0.75, "threshold": 0.5, "elapsed_ms": 2.5}
LABEL = {"label": "positive", "hops": [HOP]}


class ScriptedDevice:
    """Publishes what it is told to on the topics of device d."""

    def __init__(self, mosquitto: MqttWire) -> None:
        self._bus = mosquitto.bus("d")
        self._topics = Topics(mosquitto.root)
        self._inbox = Inbox(self._bus)

    async def start(self) -> ScriptedDevice:
        await self._bus.subscribe(self._topics.ask("d"), self._inbox.take)
        await settled(self._bus)
        return self

    async def asked(self) -> dict[str, Any]:
        question: dict[str, Any] = json.loads((await self._inbox.next()).payload)
        return question

    async def say(self, *answers: dict[str, Any] | bytes) -> None:
        for answer in answers:
            payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            await self._bus.publish(self._topics.answers("d"), payload)


@pytest.fixture
async def device(mosquitto: MqttWire) -> ScriptedDevice:
    return await ScriptedDevice(mosquitto).start()


async def test_an_answer_goes_to_the_question_that_it_names(
    mosquitto: MqttWire, device: ScriptedDevice
) -> None:
    async with DeviceClient.open(mosquitto.settings(), ["d"]) as client:
        first = asyncio.create_task(client.ask("d", "first", timeout_s=9, priority=2))
        question = await device.asked()
        second = asyncio.create_task(client.ask("d", "second", timeout_s=9, question_id="two"))
        await device.asked()

        others = {"id": "somebody-else", "label": "negative"}
        await device.say(b"\xff", b"[]", b"{", {"label": "negative"}, others, others)
        await device.say({"id": "two", "label": "2"}, {"id": question["id"], "label": "1"})

        assert (await first, await second) == (
            {"id": question["id"], "label": "1"},
            {"id": "two", "label": "2"},
        )
        assert (question["text"], question["task"], question["priority"]) == (
            "first",
            "classify",
            2,
        )
        assert client.duplicates == 0


async def test_what_comes_once_more_or_too_late_is_counted(
    mosquitto: MqttWire, device: ScriptedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testbed, "WAY_S", 0.2)
    async with DeviceClient.open(mosquitto.settings(), ["d"]) as client:
        asking = asyncio.create_task(client.ask("d", "text", timeout_s=9, question_id="one"))
        await device.asked()
        await device.say({"id": "one"}, {"id": "one"}, {"id": "one"})
        assert await asking == {"id": "one"}
        await eventually(lambda: client.duplicates == 2)

        assert await client.ask("d", "text", timeout_s=0.1, question_id="late") is None
        await device.say({"id": "late"})
        await eventually(lambda: client.duplicates == 3)


async def test_a_replay_counts_as_the_client_does_and_an_answer_that_is_none_is_a_loss(
    mosquitto: MqttWire, device: ScriptedDevice
) -> None:
    question = ReplayRequest(uuid4(), "d", "classify", "a film", 9)
    async with AskedDevices.open(mosquitto.settings(), ["d"]) as target:
        asking = asyncio.create_task(target.ask(question))
        question_id = (await device.asked())["id"]
        await device.say({"id": question_id} | LABEL, {"id": question_id} | LABEL)
        response = await asking
        assert question_id == str(question.id)
        assert response.answer == Label("positive")
        assert response.hops == (Hop("device", "d", 0.75, 0.5, 2500),)
        await eventually(lambda: target.twice == 1)

        asking = asyncio.create_task(target.ask(question))
        await device.asked()
        await device.say({"id": question_id, "text": "an answer to something else"})
        assert (await asking).error == LOST


def test_a_hop_is_read_with_both_its_numbers() -> None:
    both = HOP | {"confidence_kind": "agreement", "probability": 0.97}

    (hop,) = read_answer(LABEL | {"hops": [both]}, "classify").hops

    assert (hop.confidence, hop.confidence_kind, hop.certainty) == (0.75, "agreement", 0.97)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "of another task"},
        {"label": 5},
        LABEL | {"hops": 3},
        LABEL | {"hops": ["device"]},
        LABEL | {"hops": [HOP | {"elapsed_ms": "2.5"}]},
        LABEL | {"hops": [HOP | {"probability": "high"}]},
        {"error": {"code": 5}},
    ],
)
def test_what_is_no_answer_is_an_error_with_its_reason(wrong: dict[str, Any]) -> None:
    response = read_answer(wrong, "classify")

    assert (response.answer, response.error) == (None, LOST)
    assert response.reason.startswith("what came is no answer to a classify prompt: ")
