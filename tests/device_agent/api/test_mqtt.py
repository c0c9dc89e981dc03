"""How others ask a device over MQTT: whatever they send, they get one JSON object back."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.api import mqtt as asking
from device_agent.api.mqtt import AskTopic
from device_agent.api.schema import Ask, read_ask, write_answer
from shared.agent.settings import TierSettings
from shared.bus.memory import MemoryBus
from shared.errors import InvalidPrompt
from shared.messages import Failure, Hop, Result
from shared.tasks.classify import Label
from tests.support.cascades import EASY, HARD, Cascade, cascade
from tests.support.fakes import FAILS
from tests.support.wires import CONNECT_S, Inbox, MemoryWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_agent import Device
    from shared.agent.build import AgentParts
    from shared.bus import Bus, Message
    from tests.support.wires import MqttWire, Wire

ID = UUID(int=7)
HOPS = (Hop("device", "device-1", 0.1234567, 0.7, 1_500), Hop("edge", "edge-1", 0.9, 0.2, 40_000))


# -- reading -----------------------------------------------------------------------------------


def test_anything_that_is_no_json_object_is_the_prompt_itself() -> None:
    for text in ("the valve sticks", "[1, 2]", '"quoted"', "größer – als?", "12", ""):
        assert read_ask(text.encode()) == Ask(text)


def test_a_json_object_carries_text_and_wishes() -> None:
    asked = read_ask(b' \n{"text": "hello", "id": "a-1", "task": "tag", "timeout_s": 2}')
    assert asked == Ask("hello", "a-1", "tag", 2.0)
    assert read_ask(b'{"text": "hello", "priority": -3}').priority == -3


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"{", "begins like JSON but is none"),
        (b'{"text": "a"} and more', "begins like JSON but is none"),
        (b'{"text": NaN}', "begins like JSON but is none"),
        (b"{}", "no text, and no id"),
        (b'{"text": 5}', "Expected `str | null`"),
        (b'{"text": null}', "no text, and no id"),
        (b'{"text": "a", "id": true}', "Expected `int | str | null`"),
        (b'{"text": "a", "id": 1.5}', "Expected `int | str | null`"),
        (b'{"text": "a", "id": ""}', "length >= 1"),
        (b'{"text": "a", "id": 9223372036854775808}', "<= 9223372036854775807"),
        (b'{"text": "a", "id": -1234567890123456789012}', ">= -9223372036854775808"),
        (b'{"text": "a", "id": "' + b"x" * 200 + b'"}', "length <= 128"),
        (b'{"text": "a", "timeout_s": 0}', "> 0"),
        (b'{"text": "a", "timeout_s": -1}', "> 0"),
        (b'{"text": "a", "timeout_s": 1e999}', "out of range"),
        (b'{"text": "a", "timeout_s": "soon"}', "Expected `float | null`"),
        (b'{"text": "a", "priority": "high"}', "Expected `int`"),
        (b'{"text": "a", "mood": 1}', "unknown field `mood`"),
        (b'{"text": ' + b"[" * 100_000, "Expected `str | null`"),
        (b'{"text": "\\ud800"}', "begins like JSON but is none"),
        (b'{"text": "\xff"}', "UTF-8"),
        (b"\xff\xfe", "not UTF-8"),
    ],
    ids=lambda value: value[:30].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_a_question_that_does_not_fit_is_refused_with_its_fault(payload: bytes, fault: str) -> None:
    with pytest.raises(InvalidPrompt, match=re.escape(fault)):
        read_ask(payload)


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda rest: b"{" + rest))
def test_any_bytes_are_a_question_or_refused(payload: bytes) -> None:
    try:
        asked = read_ask(payload)
    except InvalidPrompt:
        return
    assert asked.text is not None or asked.id is not None


def test_of_two_equal_keys_the_last_counts() -> None:
    assert read_ask(b'{"text": "a", "text": "b"}') == Ask("b")


def test_an_asker_may_use_its_ids_again_for_other_questions() -> None:
    first, repeat, second = Ask("a", "1"), Ask("a", "1"), Ask("b", "1")
    assert first.prompt_id("device-1") == repeat.prompt_id("device-1")
    assert first.prompt_id("device-1") != second.prompt_id("device-1")
    assert first.prompt_id("device-1") != first.prompt_id("device-2")
    assert first.prompt_id("device-1") != Ask("a", "1", "tag").prompt_id("device-1")
    assert Ask("a").prompt_id("device-1") != Ask("a").prompt_id("device-1")


# -- writing -----------------------------------------------------------------------------------


def test_an_answer_says_what_who_and_why() -> None:
    result = Result(ID, Label("positive"), HOPS, degraded="no cloud agent took the prompt")
    assert write_answer(result, echo="a-1", elapsed_s=0.0123456) == {
        "id": "a-1",
        "label": "positive",
        "confidence": 0.9,
        "tier": "edge",
        "agent": "edge-1",
        "degraded": "no cloud agent took the prompt",
        "elapsed_ms": 12.346,
        "hops": [
            {
                "tier": "device",
                "agent": "device-1",
                "confidence": 0.123457,
                "threshold": 0.7,
                "elapsed_ms": 1.5,
            },
            {
                "tier": "edge",
                "agent": "edge-1",
                "confidence": 0.9,
                "threshold": 0.2,
                "elapsed_ms": 40.0,
            },
        ],
    }


def test_a_failure_says_why_and_nothing_else() -> None:
    result = Result(ID, Failure("busy", "too much to do"))
    assert write_answer(result, echo=None, elapsed_s=0.0) == {
        "id": str(ID),
        "error": "busy",
        "reason": "too much to do",
        "elapsed_ms": 0.0,
        "hops": [],
    }


# -- over the wire -----------------------------------------------------------------------------


class Asker:
    """Another program on the same broker."""

    def __init__(self, wire: Wire) -> None:
        self.bus = wire.bus("asker")
        self.inbox = Inbox(self.bus)
        self._base = f"{wire.root}/v1"

    async def start(self) -> Asker:
        await self.bus.subscribe(f"{self._base}/answers/device-1", self.inbox.take)
        await settled(self.bus)
        return self

    async def send(self, question: bytes | dict[str, Any]) -> None:
        payload = question if isinstance(question, bytes) else msgspec.json.encode(question)
        await self.bus.publish(f"{self._base}/ask/device-1", payload)

    async def ask(self, question: bytes | dict[str, Any]) -> dict[str, Any]:
        await self.send(question)
        answer: dict[str, Any] = json.loads((await self.inbox.next(10)).payload)
        return answer


@pytest.fixture
async def tiers(wire: Wire) -> AsyncIterator[Cascade]:
    async with cascade(wire) as running:
        yield running


async def asked_device(tiers: Cascade) -> Device:
    """A device that is asked over its topic, two at a time, and has nothing above it."""
    tier = TierSettings(name="device")
    device = await tiers.device(tier=tier, in_flight=2, knows_above=False)
    await AskTopic(device).start()
    await device.parts.bus.wait_connected(10)
    return device


async def test_plain_text_and_json_are_answered_with_json(tiers: Cascade, wire: Wire) -> None:
    await asked_device(tiers)
    asker = await Asker(wire).start()

    plain = await asker.ask(EASY.encode())
    wished = await asker.ask({"text": EASY, "id": "question 5"})

    assert (plain["label"], plain["tier"], plain["confidence"]) == ("device-1", "device", 1.0)
    assert UUID(plain["id"])
    assert plain["elapsed_ms"] > 0
    assert wished["id"] == "question 5"


@pytest.fixture
async def local() -> AsyncIterator[tuple[Cascade, Asker]]:
    """A device and an asker on the memory bus."""
    wire = MemoryWire()
    async with cascade(wire) as tiers:
        await asked_device(tiers)
        yield tiers, await Asker(wire).start()


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


async def test_the_same_question_asked_twice_at_a_time_runs_and_is_answered_once(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    for _ in range(2):
        await asker.send({"text": EASY, "id": "1"})
    await asker.send({"text": EASY, "id": "2"})
    await eventually(lambda: model.busy)
    model.release()

    answers = [json.loads((await asker.inbox.next()).payload) for _ in range(2)]

    assert [answer["id"] for answer in answers] == ["1", "2"]
    assert model.seen.count(EASY) == 3, "once to warm up, and once for each question"


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


async def test_a_question_asked_again_gets_the_same_answer_again_without_the_model(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    first = await asker.ask({"text": EASY, "id": "1"})
    again = await asker.ask({"text": EASY, "id": "1"})
    assert (again["label"], again["hops"]) == (first["label"], first["hops"])
    assert tiers.models["device-1"].seen.count(EASY) == 2


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


# -- ids ---------------------------------------------------------------------------------------


async def test_an_id_may_be_a_number_and_comes_back_as_one(local: tuple[Cascade, Asker]) -> None:
    _, asker = local
    answer = await asker.ask({"text": EASY, "id": 17})
    assert (answer["id"], answer["label"]) == (17, "device-1")
    other = await asker.ask({"text": EASY, "id": "17"})
    assert other["id"] == "17"


async def test_an_id_that_is_in_hand_is_not_another_askers(local: tuple[Cascade, Asker]) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    await asker.send({"text": EASY, "id": "mine"})
    await eventually(lambda: model.busy)

    refused = await asker.ask({"text": "another text", "id": "mine"})
    assert refused["error"] == "invalid_prompt"
    assert "'mine'" in refused["reason"]
    assert refused["id"] != "mine", "the asker of the first would take it for its answer"

    model.release()
    answer = json.loads((await asker.inbox.next()).payload)
    assert (answer["id"], answer["label"]) == ("mine", "device-1")
    later = await asker.ask({"text": "another text", "id": "mine"})
    assert later["label"] == "device-1"


async def test_an_answer_is_said_again_to_who_knows_its_id(local: tuple[Cascade, Asker]) -> None:
    tiers, asker = local
    answer = await asker.ask({"text": EASY, "id": "1"})
    again = await asker.ask({"id": "1"})
    assert (again["label"], again["hops"]) == (answer["label"], answer["hops"])
    assert tiers.models["device-1"].seen.count(EASY) == 2, "once to warm up, and once"


async def test_an_answer_that_is_still_to_come_is_not_said_twice(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    await asker.send({"text": EASY, "id": "1"})
    await eventually(lambda: model.busy)
    await asker.send({"id": "1"})
    model.release()
    assert (await asker.inbox.next()).payload
    await asker.ask({"text": EASY, "id": "2"})
    assert len(asker.inbox.messages) == 2


# -- response topics ---------------------------------------------------------------------------


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


# -- what is bounded ---------------------------------------------------------------------------


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
