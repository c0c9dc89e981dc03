"""How others ask a device over MQTT: whatever they send, they get one JSON object back."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from device_agent.api import mqtt as asking
from device_agent.api.mqtt import AskTopic
from shared.agent.settings import TierSettings
from shared.bus.memory import MemoryBus
from tests.support.askers import Asker, asked_device
from tests.support.cascades import EASY, HARD, Cascade, cascade
from tests.support.fakes import FAILS
from tests.support.wires import CONNECT_S, eventually

if TYPE_CHECKING:
    from shared.agent.build import AgentParts
    from shared.bus import Bus, Message
    from tests.support.wires import Wire


async def test_plain_text_and_json_are_answered_with_json(tiers: Cascade, wire: Wire) -> None:
    await asked_device(tiers)
    asker = await Asker(wire).start()

    plain = await asker.ask(EASY.encode())
    wished = await asker.ask({"text": EASY, "id": "question 5"})

    assert (plain["label"], plain["tier"], plain["confidence"]) == ("device-1", "device", 1.0)
    assert UUID(plain["id"])
    assert plain["elapsed_ms"] > 0
    assert wished["id"] == "question 5"


def count_acknowledged(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Return a list that fills with the questions whose messages are acknowledged."""
    acknowledged: list[Message] = []
    acknowledge = bus.acknowledge

    def note(message: Message) -> None:
        if "/ask/" in message.topic:
            acknowledged.append(message)
        acknowledge(message)

    monkeypatch.setattr(bus, "acknowledge", note)
    return acknowledged


@pytest.mark.parametrize(
    ("question", "error", "echo"),
    [
        (b"\xff\xfe", "invalid_prompt", None),
        (b"  ", "invalid_prompt", None),
        (b'{"text": 5, "id": "mine"}', "invalid_prompt", "mine"),
        (b'{"text": "a", "mood": 1, "id": "mine"}', "invalid_prompt", "mine"),
        (b'{"id": "mine"}', "invalid_prompt", "mine"),
        (b'{"id": 17}', "invalid_prompt", 17),
        (b'{"text": 5, "id": 17}', "invalid_prompt", 17),
        (b'{"text": "a", "id": 1.5}', "invalid_prompt", 1.5),
        (b'{"text": "a", "id": "' + b"x" * 129 + b'"}', "invalid_prompt", None),
        (b'{"text": "\\ud800", "id": "mine"}', "invalid_prompt", "mine"),
        (b'{"text": "a", "task": "' + b"\\u007f" * 9_000 + b'"}', "invalid_prompt", None),
        (b'{"text": "a", "id": ' + b"9" * 10_000 + b"}", "invalid_prompt", None),
        (b'{"text": "a", "id": "mine"', "invalid_prompt", None),
        (b"{" * 50_000, "invalid_prompt", None),
        (b'{"text": "a", "task": "translate", "id": "mine"}', "unknown_task", "mine"),
        (b'{"text": "a", "task": "generate", "id": "mine"}', "unknown_task", "mine"),
        (b"x" * 70_000, "invalid_prompt", None),
        (b'{"id": "mine", "text": "' + b"x" * 70_000 + b'"}', "invalid_prompt", "mine"),
        (FAILS.encode(), "model_failed", None),
    ],
    ids=lambda value: value[:40].decode(errors="replace") if isinstance(value, bytes) else None,
)
async def test_every_question_gets_one_answer_even_if_it_says_why_not(
    local: tuple[Cascade, Asker],
    question: bytes,
    error: str,
    echo: str | float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiers, asker = local
    acknowledged = count_acknowledged(tiers.parts["device-1"].bus, monkeypatch)

    answer = await asker.ask(question)
    fine = await asker.ask(EASY.encode())

    assert answer["error"] == error
    assert answer["reason"]
    assert answer["id"] == echo or (echo is None and UUID(answer["id"]))
    assert fine["label"] == "device-1"
    assert len(asker.inbox.messages) == 2
    assert len(acknowledged) == 2


async def test_questions_do_not_hold_up_other_messages_and_too_many_are_refused(
    local: tuple[Cascade, Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    acknowledged = count_acknowledged(tiers.parts["device-1"].bus, monkeypatch)
    model.hold()

    for name in ("1", "2", "3"):
        await asker.send({"text": EASY, "id": name})
    busy = json.loads((await asker.inbox.next()).payload)
    assert len(acknowledged) == 3
    model.release()
    answers = [json.loads((await asker.inbox.next()).payload) for _ in range(2)]

    assert (busy["id"], busy["error"]) == ("3", "busy")
    assert {answer["id"] for answer in answers} == {"1", "2"}


async def test_a_long_timeout_is_no_trouble(local: tuple[Cascade, Asker]) -> None:
    _, asker = local
    answer = await asker.ask(b'{"text": "easy", "timeout_s": 1e308}')
    assert answer["label"] == "device-1"


async def test_the_most_urgent_question_is_the_models_next(tiers: Cascade, wire: Wire) -> None:
    device = await tiers.device(tier=TierSettings(name="device"), in_flight=8, knows_above=False)
    await AskTopic(device).start()
    await device.parts.bus.wait_connected(10)
    asker = await Asker(wire).start()
    model = tiers.models["device-1"]
    model.hold()
    await asker.send({"text": EASY, "id": "first"})
    await eventually(lambda: model.busy)
    for text, priority in (("usual", 0), ("some time", -1), ("at once", 2)):
        await asker.send({"text": text, "priority": priority})
    await eventually(lambda: device.parts.batcher.waiting == 4)
    model.release()

    for _ in range(4):
        await asker.inbox.next(10)

    assert model.seen[-3:] == ["at once", "usual", "some time"]


async def test_a_question_that_went_up_is_answered_from_there(tiers: Cascade, wire: Wire) -> None:
    await tiers.edge()
    device = await tiers.device()
    await AskTopic(device).start()
    await device.parts.bus.wait_connected(10)
    asker = await Asker(wire).start()

    answer = await asker.ask({"text": HARD, "id": "up"})

    assert (answer["label"], answer["tier"]) == ("edge-1", "edge")
    assert [hop["tier"] for hop in answer["hops"]] == ["device", "edge"]


async def test_a_question_in_hand_is_answered_before_the_device_leaves(wire: Wire) -> None:
    asker = await Asker(wire).start()
    async with cascade(wire) as tiers:
        await tiers.edge()
        async with cascade(wire) as leaving:
            device = await leaving.device(knows_above=False)
            await AskTopic(device).start()
            await leaving.sees(device, "edge-1")
            await device.parts.bus.wait_connected(CONNECT_S)
            tiers.models["edge-1"].hold()
            await asker.send({"text": HARD, "id": "late"})
            await eventually(lambda: tiers.models["edge-1"].busy)

        answer = json.loads((await asker.inbox.next()).payload)

    assert (answer["id"], answer["label"]) == ("late", "device-1")
    assert answer["degraded"] == "the device is shutting down"


async def test_a_question_that_the_broker_kept_is_not_asked_again_at_every_connect(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    parts = tiers.parts["device-1"]
    await asker.bus.publish(
        parts.topics.ask("device-1"), b'{"text": "kept", "id": "kept"}', retain=True
    )
    assert json.loads((await asker.inbox.next()).payload)["id"] == "kept", "live, it is one"
    parts.bus.reconnect("a test")
    await eventually(lambda: count_refused(parts, "retained") == 1)
    assert len(asker.inbox.messages) == 1


async def test_an_answer_that_no_message_can_carry_is_replaced_by_a_short_one(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    memory = tiers.parts["device-1"].bus
    assert isinstance(memory, MemoryBus)
    memory._broker.packet_bytes = 200

    answer = await asker.ask({"text": EASY, "id": "1"})

    assert (answer["id"], answer["error"]) == ("1", "unsaid")


async def test_a_flood_of_questions_is_dropped_and_counted_and_ends(
    local: tuple[Cascade, Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiers, asker = local
    parts = tiers.parts["device-1"]
    publish = parts.bus.publish
    free = asyncio.Event()

    async def wait(topic: str, payload: bytes, **how: Any) -> Any:
        await free.wait()
        return await publish(topic, payload, **how)

    monkeypatch.setattr(parts.bus, "publish", wait)
    for _ in range(3_000):
        await asker.send(b"{}")
    await eventually(lambda: count_refused(parts, "flooded") >= 900)
    free.set()
    await eventually(lambda: len(asker.inbox.messages) >= 2_000)
    await asker.send({"text": EASY, "id": "after"})
    await eventually(lambda: b'"after"' in asker.inbox.payloads[-1])


def count_refused(parts: AgentParts, fault: str) -> float:
    labels = {"fault": fault}
    return parts.metrics.registry.get_sample_value("recserve_refused_total", labels) or 0.0


async def test_a_question_that_comes_when_the_device_leaves_is_left_to_its_next_life(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    await asker.send({"text": EASY, "id": "in time"})
    await eventually(lambda: model.busy)
    device = tiers.devices["device-1"]
    leaving = asyncio.ensure_future(device._drain())
    await asyncio.sleep(0)
    await asker.send({"text": EASY, "id": "too late"})
    await asyncio.sleep(0.1)
    model.release()
    await leaving

    assert json.loads((await asker.inbox.next()).payload)["id"] == "in time"
    assert len(asker.inbox.messages) == 1


@pytest.mark.parametrize("receipt", [True, False])
async def test_an_answer_waits_a_while_for_an_asker_who_has_its_receipt(
    local: tuple[Cascade, Asker], receipt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_RETURN_S", (0.2, 0.2, 0.2))
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    await asker.send({"text": EASY, "id": "1", "receipt": receipt})
    await eventually(lambda: model.busy)
    assert isinstance(asker.bus, MemoryBus)
    answers = asker.bus.subscriptions.pop()
    model.release()
    published = tiers.parts["device-1"].topics.answers("device-1")
    await eventually(lambda: asker.bus._broker.published[published] > 0)  # type: ignore[attr-defined]
    asker.bus.subscriptions.append(answers)

    await asyncio.sleep(0.5)
    assert len(asker.inbox.messages) == receipt
