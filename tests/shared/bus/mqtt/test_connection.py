"""Every word the MQTT library can end with is one of ours, and every credential fault is named."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import ConnackCode, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from shared.bus import Published
from shared.bus.mqtt.connection import MqttConnection, WrongProtocol
from shared.bus.mqtt.settings import MqttSettings
from shared.bus.mqtt.terms import Terms
from shared.errors import BusError, NotConnected, NotNow, Refused
from tests.support.servers import serving

OURS = (NotConnected, Refused, WrongProtocol)


def reasons(packet: int) -> list[ReasonCode]:
    """Every reason code that the library knows for a kind of packet."""
    names = ReasonCode(PacketTypes.CONNACK).names
    known = [code for code, texts in names.items() for kinds in texts.values() if packet in kinds]
    return [ReasonCode(packet, identifier=code) for code in known]


def connection(settings: MqttSettings | None = None) -> MqttConnection:
    """A connection that was not opened."""
    return MqttConnection(
        settings or MqttSettings(), "tested", will=None, version=5, deliver=lambda *_: None
    )


@pytest.mark.parametrize("reason", reasons(PacketTypes.CONNACK), ids=str)
async def test_every_answer_to_connect_is_an_agreement_or_one_of_our_errors(
    reason: ReasonCode,
) -> None:
    opening = connection()

    opening._on_connect(opening._client, None, None, reason, None)

    error = opening._connack.exception()
    if reason.is_failure:
        assert isinstance(error, OURS), f"{reason} is not translated"
        assert str(reason) in str(error)
    else:
        assert error is None


@pytest.mark.parametrize("code", list(ConnackCode), ids=str)
async def test_every_answer_of_mqtt_3_1_1_is_an_agreement_or_one_of_our_errors(
    code: ConnackCode,
) -> None:
    opening = connection()
    reason = paho.convert_connack_rc_to_reason_code(code)

    opening._on_connect(opening._client, None, None, reason, None)

    error = opening._connack.exception()
    assert (error is None) == (code == ConnackCode.CONNACK_ACCEPTED)
    assert error is None or isinstance(error, OURS)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Not authorized", Refused),
        ("Bad user name or password", Refused),
        ("Client identifier not valid", Refused),
        ("Banned", Refused),
        ("Unsupported protocol version", WrongProtocol),
        ("Server unavailable", NotConnected),
        ("Server busy", NotConnected),
        ("Connection rate exceeded", NotConnected),
    ],
)
async def test_a_refusal_for_now_is_told_from_one_for_good(
    reason: str, kind: type[BusError]
) -> None:
    opening = connection()
    opening._on_connect(opening._client, None, None, ReasonCode(PacketTypes.CONNACK, reason), None)
    assert type(opening._connack.exception()) is kind


@pytest.mark.parametrize("reason", reasons(PacketTypes.PUBACK), ids=str)
async def test_every_word_on_a_published_message_is_a_delivery_or_a_refusal(
    reason: ReasonCode,
) -> None:
    open_one = connection()
    waiting: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
    open_one._published[7] = waiting

    open_one._on_publish(open_one._client, None, 7, reason, None)

    if reason.is_failure:
        kind = NotNow if reason.value in (0x91, 0x97) else Refused
        assert type(waiting.exception()) is kind
    else:
        no_subscriber = reason.value == 0x10
        assert waiting.result() is (Published.NO_SUBSCRIBER if no_subscriber else Published.TAKEN)


@pytest.mark.parametrize("reason", reasons(PacketTypes.SUBACK), ids=str)
async def test_every_word_on_a_subscription_is_an_agreement_or_a_refusal(
    reason: ReasonCode,
) -> None:
    open_one = connection()
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    open_one._subscribed[7] = waiting

    open_one._on_subscribe(open_one._client, None, 7, [reason], None)

    assert isinstance(waiting.exception(), Refused) == reason.is_failure


@pytest.mark.parametrize("reason", reasons(PacketTypes.DISCONNECT), ids=str)
async def test_every_end_of_a_connection_settles_who_waits_on_it(reason: ReasonCode) -> None:
    ending = connection()
    loop = asyncio.get_running_loop()
    published = ending._published[1] = loop.create_future()
    subscribed = ending._subscribed[2] = loop.create_future()

    ending._on_disconnect(ending._client, None, None, reason, None)
    ending._on_disconnect(ending._client, None, None, reason, None)

    said = "connection lost" if reason.value == 0x80 else f"connection lost: {reason}"
    assert ending.lost.result() == said
    assert isinstance(published.exception(), NotConnected)
    assert isinstance(subscribed.exception(), NotConnected)


@pytest.mark.parametrize("code", list(MQTTErrorCode), ids=str)
async def test_every_error_code_of_publish_and_subscribe_is_one_of_ours(
    code: MQTTErrorCode,
) -> None:
    if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
        return
    answering = connection()

    class Failing:
        def publish(self, *_: Any) -> paho.MQTTMessageInfo:
            info = paho.MQTTMessageInfo(1)
            info.rc = code
            return info

        def subscribe(self, *_: Any, **_named: Any) -> tuple[MQTTErrorCode, None]:
            return code, None

    answering._client = Failing()  # type: ignore[assignment] # says what paho may say

    with pytest.raises(NotConnected):
        await answering.publish("t", b"", Terms())
    with pytest.raises(NotConnected):
        await answering.subscribe("t")


async def test_what_the_library_raises_on_odd_bytes_ends_the_connection() -> None:
    """A broker that sends a topic which is not UTF-8 makes paho raise out of its read."""

    async def odd_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x20\x02\x00\x00" + b"\x30\x04\x00\x01\xffx")
        await reader.read()

    async with serving(odd_broker) as port:
        settings = MqttSettings(port=port)
        reading = MqttConnection(settings, "odd", will=None, version=4, deliver=lambda *_: None)
        await reading.open(5)
        reason = await asyncio.wait_for(asyncio.shield(reading.lost), 5)
        reading.abandon()

    assert "UnicodeDecodeError" in reason


@pytest.mark.parametrize("host", ["a..b", "no-such-host.invalid"])
async def test_a_host_that_cannot_be_is_no_connection(host: str) -> None:
    with pytest.raises(NotConnected, match=f"no broker at {host}:1883"):
        await connection(MqttSettings(host=host)).open(1)


async def test_who_stops_waiting_for_a_connection_leaves_none_open() -> None:
    """The thread that connects may finish long after nobody wants it to."""
    ends: list[bytes] = []

    async def slow_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(await reader.read())

    async with serving(slow_broker) as port:
        for wait_s in (0.0, 0.001, 0.003, 0.01, 0.1):
            unwanted = connection(MqttSettings(port=port))
            opening = asyncio.create_task(unwanted.open(5))
            await asyncio.sleep(wait_s)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            unwanted.abandon()
        await asyncio.get_running_loop().shutdown_default_executor()
        gc.collect()
    assert ends, "some got as far as the broker, and each of those ended"


@pytest.mark.parametrize("expiry_s", [0.0, 0.2, 30.0, 1e10, float("inf")])
async def test_any_expiry_fits_the_packet(expiry_s: float) -> None:
    properties = Terms(expiry_s=expiry_s).properties(version=5)
    assert properties is not None
    assert properties.pack()  # type: ignore[no-untyped-call] # paho leaves it
