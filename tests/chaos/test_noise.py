"""What a soak sends is what it says: some of it can be read and some cannot."""

from __future__ import annotations

import pytest

from chaos.noise import KINDS, ORIGINS, Made, Noise, prompt_of, send_all
from device_agent.api.schema import read_ask
from shared.bus.memory import MemoryBroker
from shared.errors import InvalidPrompt, MalformedMessage
from shared.messages import Result
from shared.serving.station import check_text
from shared.wire.codec import decode_prompt, decode_result
from shared.wire.topics import Topics
from tests.support.wires import Inbox

ANYWHERE, MALFORMED, MISADDRESSED, UNASKED, NOTICES, NO_RESULT, REFUSED = (
    kind.make for kind in KINDS
)


def read_prompt(made: Made) -> tuple[str, str]:
    address = Topics().read_prompt(made.topic)
    prompt = decode_prompt(made.payload, address, now_s=0.0)
    return prompt.origin, prompt.text


def test_prompts_come_from_many_origins_each_with_its_own_text() -> None:
    first, again = read_prompt(ANYWHERE(7)), read_prompt(ANYWHERE(7 + ORIGINS))
    assert first == again
    assert first[0] == "origin-7"
    assert read_prompt(ANYWHERE(8)) != first


def test_a_prompt_can_be_sent_under_the_id_of_another() -> None:
    (topic, payload, _) = prompt_of("device-2", "edge-1", "text")
    address = Topics().read_prompt(topic)
    prompt = decode_prompt(payload, address, now_s=0.0)
    forged = prompt_of("device-2", "edge-1", "other", prompt.id)
    assert decode_prompt(forged.payload, address, now_s=0.0).id == prompt.id


def test_what_is_none_is_refused_by_those_who_read_it() -> None:
    for number in range(20):
        with pytest.raises(MalformedMessage):
            read_prompt(MALFORMED(number))
        with pytest.raises(MalformedMessage):
            Topics().read_prompt(MISADDRESSED(number).topic)
        with pytest.raises(MalformedMessage):
            decode_result(NO_RESULT(number).payload)


def test_what_nobody_asked_for_can_be_read() -> None:
    for number in range(4):
        assert isinstance(decode_result(UNASKED(number).payload), Result)
        assert not isinstance(decode_result(NOTICES(number).payload), Result)
    assert len({UNASKED(number).topic for number in range(4)}) == 2, "both who listen hear them"


def test_questions_to_be_refused_are_and_hear_of_it_elsewhere() -> None:
    for number in range(2):
        topic, payload, response_topic = REFUSED(number)
        assert topic == Topics().ask("device-1")
        assert response_topic.startswith("chaos/")
        with pytest.raises(InvalidPrompt):
            check_text(read_ask(payload).text, 1_000)


async def test_each_kind_comes_at_its_rate() -> None:
    broker = MemoryBroker()
    bus, reader = broker.client("noise"), broker.client("reader")
    inbox = Inbox(reader)
    await bus.start()
    await reader.start()
    await reader.subscribe("#", inbox.take)
    kinds = [
        Noise("a", 100.0, lambda _: Made("a", b"1")),
        Noise("b", 50.0, lambda _: Made("b", b"2")),
    ]
    assert await send_all(bus, kinds, 0.2) == 30
    assert inbox.payloads.count(b"1") == 20
    assert inbox.payloads.count(b"2") == 10
