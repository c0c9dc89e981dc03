"""Answers on the topic that their question names (MQTT 5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.support.askers import Asker, asked_device
from tests.support.cascades import EASY, Cascade, cascade
from tests.support.wires import Inbox

if TYPE_CHECKING:
    from tests.support.wires import MqttWire


async def ask_with(asker: Asker, question: dict[str, Any], topic: str, correlation: bytes) -> None:
    await asker.bus.publish(
        f"{asker._base}/ask/device-1",
        msgspec.json.encode(question),
        response_topic=topic,
        correlation=correlation,
    )


async def test_an_answer_goes_where_its_question_says_with_what_it_is_known_by(
    mosquitto: MqttWire,
) -> None:
    async with cascade(mosquitto) as tiers:
        await asked_device(tiers)
        asker = await Asker(mosquitto).start()
        private = Inbox(asker.bus)
        await asker.bus.subscribe(f"{mosquitto.root}-clients/+", private.take)

        await ask_with(asker, {"text": EASY, "id": 1}, f"{mosquitto.root}-clients/a", b"c-1")
        await ask_with(asker, {"text": EASY, "id": 1}, f"{mosquitto.root}-clients/b", b"c-2")
        came = [await private.next(10) for _ in range(2)]

        assert {(message.topic[-1], message.correlation) for message in came} == {
            ("a", b"c-1"),
            ("b", b"c-2"),
        }
        assert all(json.loads(message.payload)["label"] == "device-1" for message in came)
        assert asker.inbox.messages == []


@pytest.mark.parametrize(
    "topic",
    [
        "{root}/v1/ask/device-2",
        "{root}/v1/status/device/device-1",
        "{root}/v1/answers/device-1/a/b",
        "a/+",
        "a/#",
        "$SYS/a",
    ],
)
async def test_no_answer_goes_on_a_topic_that_others_trust(
    local: tuple[Cascade, Asker], topic: str
) -> None:
    tiers, asker = local
    root = tiers.parts["device-1"].topics.root
    await ask_with(asker, {"text": EASY, "id": 1}, topic.format(root=root), b"c-1")
    refused = json.loads((await asker.inbox.next()).payload)
    assert (refused["id"], refused["error"]) == (1, "invalid_prompt")


async def test_an_answer_may_go_below_the_devices_own_answers(local: tuple[Cascade, Asker]) -> None:
    _, asker = local
    private = Inbox(asker.bus)
    topic = f"{asker._base}/answers/device-1/me"
    await asker.bus.subscribe(topic, private.take)
    await ask_with(asker, {"text": EASY, "id": 1}, topic, b"c-1")
    assert (await private.next()).correlation == b"c-1"
