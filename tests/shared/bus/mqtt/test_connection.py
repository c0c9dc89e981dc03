"""Every word the MQTT library can end with is one of ours, and every credential fault is named."""

from __future__ import annotations

import asyncio
import gc
import subprocess
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from msgspec import structs
from paho.mqtt.enums import ConnackCode, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from shared.bus import Published
from shared.bus.mqtt.connection import MqttConnection, Terms, WrongProtocol
from shared.bus.mqtt.credentials import check_credentials, read_password, tls_context
from shared.bus.mqtt.settings import MqttSettings, TlsSettings
from shared.errors import BusError, NotConnected, NotNow, Refused, SettingsError
from tests.support.certificates import self_signed
from tests.support.servers import serving

if TYPE_CHECKING:
    from pathlib import Path

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
    properties = connection()._properties(Terms(expiry_s=expiry_s))
    assert properties is not None
    assert properties.pack()  # type: ignore[no-untyped-call] # paho leaves it


def test_the_password_is_the_file_less_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes("pässword with space \r\n".encode())
    assert read_password(MqttSettings(password_file=str(file))) == "pässword with space "


def test_without_a_file_the_password_is_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_MQTT_PASSWORD", "from the environment")
    assert read_password(MqttSettings()) == "from the environment"


@pytest.mark.parametrize(
    ("content", "fault"), [(None, "cannot be read"), (b"\xff\xfe", "is not UTF-8")]
)
def test_a_password_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    file = tmp_path / "the-password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"mqtt\.password_file .*the-password.* {fault}"):
        check_credentials(MqttSettings(username="u", password_file=str(file)))


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_certificate_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, key: str
) -> None:
    file = tmp_path / "cert.pem"
    if content is not None:
        file.write_bytes(content)
    tls = TlsSettings(**{key: str(file)})
    with pytest.raises(SettingsError, match=rf"mqtt\.tls\.{key} .*cert\.pem.* cannot be used"):
        check_credentials(MqttSettings(tls=tls))


def test_a_key_that_does_not_fit_its_certificate_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        self_signed(tmp_path, name)
    fitting = TlsSettings(cert_file=str(tmp_path / "a.pem"), key_file=str(tmp_path / "a.key"))
    assert tls_context(fitting)

    crossed = TlsSettings(cert_file=str(tmp_path / "a.pem"), key_file=str(tmp_path / "b.key"))
    with pytest.raises(SettingsError, match=r"a\.pem' with '.*b\.key' cannot be used"):
        tls_context(crossed)


def encrypted(folder: Path, passphrase: str) -> TlsSettings:
    """A certificate whose key nobody reads without a passphrase."""
    certificate, key = self_signed(folder)
    locked = folder / "locked.key"
    subprocess.run(
        [
            "openssl",
            "pkey",
            "-in",
            key,
            "-out",
            locked,
            "-aes256",
            "-passout",
            f"pass:{passphrase}",
        ],
        check=True,
        capture_output=True,
    )
    return TlsSettings(cert_file=str(certificate), key_file=str(locked))


def test_an_encrypted_key_without_its_passphrase_is_refused_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECSERVE_MQTT_KEY_PASSPHRASE", raising=False)
    tls = encrypted(tmp_path, "open sesame")
    with pytest.raises(SettingsError, match=r"locked\.key' is encrypted.*passphrase_file.*openssl"):
        tls_context(tls)


def test_a_passphrase_comes_from_a_file_or_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = encrypted(tmp_path, "grüße")
    monkeypatch.setenv("RECSERVE_MQTT_KEY_PASSPHRASE", "grüße")
    assert tls_context(tls)

    file = tmp_path / "passphrase"
    file.write_text("wrong\n", encoding="utf-8")
    named = structs.replace(tls, passphrase_file=str(file))
    with pytest.raises(SettingsError, match=r"locked\.key' has another passphrase"):
        tls_context(named)
    file.write_text("grüße\n", encoding="utf-8")
    assert tls_context(named)
    with pytest.raises(SettingsError, match=r"mqtt\.tls\.passphrase_file .* cannot be read"):
        tls_context(structs.replace(tls, passphrase_file=str(tmp_path)))
