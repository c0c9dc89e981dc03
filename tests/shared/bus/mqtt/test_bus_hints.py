"""Hints over MQTT: bounded, never waited for, and never taken for a message that waits."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from shared.bus import Message, Published
from shared.bus.mqtt.connection import MqttConnection
from shared.bus.mqtt.settings import MqttSettings
from shared.bus.mqtt.terms import Terms
from shared.errors import NotConnected, Refused
from tests.support.servers import serving
from tests.support.wires import Inbox, MqttWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KIBIBYTE = 1024
NUMBERS = 65_535
"""Packet identifiers that there are; then the library begins anew."""


@contextlib.asynccontextmanager
async def connected_to_one_who_acknowledges_nothing(
    *, reads: bool
) -> AsyncIterator[MqttConnection]:
    """Yield a connection to a broker that greets, and then says nothing more."""
    over = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x20\x02\x00\x00")
        while reads and await reader.read(1 << 16):
            pass
        await over.wait()

    async with serving(greet) as port:
        settings = MqttSettings(port=port)
        connection = MqttConnection(
            settings, "hinting", will=None, version=4, deliver=lambda *_: None
        )
        await connection.open(5)
        yield connection
        connection.abandon()
        over.set()


async def test_no_more_than_64_kib_of_hints_wait_and_then_there_is_room_again(
    mosquitto: MqttWire,
) -> None:
    bus = await settled(mosquitto.bus("both"))
    inbox = Inbox(bus)
    await bus.subscribe(f"{mosquitto.root}/hints", inbox.take)

    for _ in range(100):
        bus.send_soon(f"{mosquitto.root}/hints", bytes(KIBIBYTE))
    taken = 100 - bus.hints_dropped
    published = await bus.publish(f"{mosquitto.root}/hints", b"published behind them")
    bus.send_soon(f"{mosquitto.root}/hints", b"once more")

    await eventually(lambda: len(inbox.messages) == taken + 2)
    assert 55 <= taken <= 64
    assert published is Published.TAKEN
    assert bus.hints_dropped == 100 - taken


async def test_a_broker_that_reads_nothing_holds_nobody_up() -> None:
    async with connected_to_one_who_acknowledges_nothing(reads=False) as connection:
        sent = 0
        while connection.send_soon("hints", bytes(KIBIBYTE), KIBIBYTE):
            sent += 1
            await asyncio.sleep(0)

        assert sent > 64  # they went as far as the sockets' buffers
        assert not connection.lost.done()


async def test_a_hint_with_the_number_of_a_message_that_waits_is_not_its_acknowledgement() -> None:
    async with connected_to_one_who_acknowledges_nothing(reads=True) as connection:
        publishing = asyncio.ensure_future(connection.publish("work", b"", Terms()))
        await asyncio.sleep(0)
        (number,) = connection._published
        sent = 0
        while sent <= NUMBERS:
            if connection.send_soon("h", b"", 16):
                sent += 1
            else:
                await asyncio.sleep(0)
        hints = connection._hints._waiting
        assert hints[-1][0].mid == number + 1  # the one before had the same number
        await eventually(lambda: all(info.is_published() for info, _ in hints))

        assert not publishing.done()
        connection.abandon()
        with pytest.raises(NotConnected):
            await publishing


async def test_a_hint_on_a_topic_that_cannot_be_is_refused(mosquitto: MqttWire) -> None:
    bus = await settled(mosquitto.bus("both"))

    with pytest.raises(Refused, match="can go out on 'a/\\+'"):
        bus.send_soon("a/+", b"")


async def test_a_hint_comes_without_a_token(mosquitto: MqttWire) -> None:
    bus = await settled(mosquitto.bus("both"))
    came: list[Message] = []
    await bus.subscribe(f"{mosquitto.root}/hints", came.append)

    bus.send_soon(f"{mosquitto.root}/hints", b"hint")
    await bus.publish(f"{mosquitto.root}/hints", b"message")

    await eventually(lambda: len(came) == 2)
    assert {message.payload: message.token is None for message in came} == {
        b"hint": True,
        b"message": False,
    }
