"""How messages flow over MQTT: at once, in bounds, and until the last is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from shared.bus import Published
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import LostAtOnce, NotConnected
from tests.support.servers import serving
from tests.support.wires import Inbox, MqttWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.processes import BrokerProcess


CONNECT, PUBLISH_QOS_1 = 0x10, 0x32


async def test_nagles_algorithm_is_off_on_every_connection(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    bus = open_bus(mosquitto.settings(), "quick")
    await settled(bus)
    heard: list[bool] = []
    bus.watch(heard.append)

    for connection in (1, 2):
        assert bus._connection is not None
        sock = bus._connection._client.socket()
        assert isinstance(sock, socket.socket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if connection == 1:
            mosquitto.cut(bus)
            await eventually(lambda: heard == [True, False, True])


async def test_a_request_and_its_response_take_nothing_like_forty_milliseconds(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    """With Nagle's algorithm at either end a QoS 1 round trip takes 40 ms and more."""
    asking = await settled(open_bus(mosquitto.settings(), "asking"))
    answering = await settled(open_bus(mosquitto.settings(), "answering"))
    answers = Inbox(asking)
    under_way: set[asyncio.Task[Published]] = set()

    def answer(message: object) -> None:
        answering.acknowledge(message)  # type: ignore[arg-type] # a Message, as the bus says
        under_way.add(asyncio.create_task(answering.publish(f"{mosquitto.root}/answer", b"yes")))

    await answering.subscribe(f"{mosquitto.root}/question", answer)
    await asking.subscribe(f"{mosquitto.root}/answer", answers.take)
    took_s = []
    for _ in range(50):
        started_s = time.perf_counter()
        await asking.publish(f"{mosquitto.root}/question", b"x" * 150)
        await answers.next()
        took_s.append(time.perf_counter() - started_s)

    assert statistics.median(took_s) < 0.020
    await asyncio.gather(*under_way)


async def test_a_broker_that_answers_nothing_holds_nobody_up(
    own_broker: BrokerProcess, open_bus: Callable[..., MqttBus]
) -> None:
    wire = MqttWire(own_broker)
    settings = msgspec.structs.replace(wire.settings(), drain_s=0.2)
    bus = await settled(open_bus(settings, "patient"))
    own_broker.freeze()

    started_s = time.monotonic()
    with pytest.raises(NotConnected, match=r"said nothing for 0\.3 s"):
        await bus.publish(f"{wire.root}/x", b"", expiry_s=0.3)
    await bus.close()

    assert time.monotonic() - started_s < 3


async def test_no_more_messages_wait_than_the_broker_allows() -> None:
    allowed, waiting, most = 3, set[bytes](), 0

    async def strict(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        later = asyncio.get_running_loop().call_later

        def acknowledge(mid: bytes) -> None:
            waiting.discard(mid)
            writer.write(b"\x40\x02" + mid)

        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                kind, length = await reader.readexactly(2)
                body = await reader.readexactly(length)
                if kind == CONNECT:
                    writer.write(b"\x20\x06\x00\x00\x03\x21" + allowed.to_bytes(2, "big"))
                elif kind == PUBLISH_QOS_1:
                    mid = body[2 + int.from_bytes(body[:2], "big") :][:2]
                    waiting.add(mid)
                    most = max(most, len(waiting))
                    later(0.02, acknowledge, mid)

    async with serving(strict) as port:
        bus = MqttBus(MqttSettings(port=port, protocol="5"), "patient")
        await bus.start()
        await bus.wait_connected(5)
        await asyncio.gather(*(bus.publish("some/topic", b"short") for _ in range(10)))
        await bus.close()

    assert most == allowed


async def test_closing_waits_until_what_was_published_has_arrived(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    reader = await settled(open_bus(mosquitto.settings(), "reader"))
    inbox = Inbox(reader)
    await reader.subscribe(f"{mosquitto.root}/last", inbox.take)
    bus = await settled(open_bus(mosquitto.settings(), "closing"))

    publishing = [
        asyncio.create_task(bus.publish(f"{mosquitto.root}/last", b"w" * 10_000)) for _ in range(50)
    ]
    await asyncio.sleep(0)
    await bus.close()

    assert await asyncio.gather(*publishing) == [Published.TAKEN] * 50
    await eventually(lambda: len(inbox.messages) == 50)


async def test_what_was_not_acknowledged_holds_back_what_comes_after(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    """Proof that acknowledging is ours: Mosquitto stops at ``max_inflight_messages``."""
    reader = await settled(open_bus(mosquitto.settings(), "silent"))
    inbox = Inbox(reader, acknowledges=False)
    await reader.subscribe(f"{mosquitto.root}/work", inbox.take)
    sender = await settled(open_bus(mosquitto.settings(), "sender"))
    for _ in range(130):
        await sender.publish(f"{mosquitto.root}/work", b"")
    await eventually(lambda: len(inbox.messages) == 100)
    await asyncio.sleep(0.1)
    assert len(inbox.messages) == 100

    for message in inbox.messages[:]:
        reader.acknowledge(message)

    await eventually(lambda: len(inbox.messages) == 130)


async def test_a_message_that_no_subscription_wants_is_acknowledged_and_dropped(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    bus = await settled(open_bus(mosquitto.settings(), "filters"))

    def fail(message: object) -> None:
        raise RuntimeError("a fault in the agent")

    await bus.subscribe(f"{mosquitto.root}/bad", fail)
    inbox = Inbox(bus)
    await bus.subscribe(f"{mosquitto.root}/good", inbox.take)

    await bus.publish(f"{mosquitto.root}/bad", b"")
    await bus.publish(f"{mosquitto.root}/good", b"still alive")

    assert (await inbox.next()).payload == b"still alive"


async def test_what_comes_between_a_loss_and_word_of_it_waits_for_the_next_connection(
    own_broker: BrokerProcess, open_bus: Callable[..., MqttBus]
) -> None:
    """The connection is gone, and nobody has been told yet: it is not the message's doing."""
    wire = MqttWire(own_broker)
    bus = open_bus(wire.settings(), "sender")
    await settled(bus)
    lost = bus._connection
    assert lost is not None
    lost.abandon("a test")
    with pytest.raises(NotConnected) as caught:
        await bus.publish("t", b"x")
    assert not isinstance(caught.value, LostAtOnce)
    await bus.wait_connected(10)
    assert bus._connection is not lost
    assert await bus.publish("t", b"x") is not None
