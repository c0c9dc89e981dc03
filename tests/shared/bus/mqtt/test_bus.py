"""What the MQTT bus does beyond the port's contract: reconnects, versions, refusals."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import msgspec
import pytest

from experiments.testbed.processes import free_port
from shared.bus import Published
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.connection import WrongProtocol
from shared.bus.mqtt.settings import MqttSettings, TlsSettings
from shared.errors import NotConnected, Refused, SettingsError
from shared.settings.address import Address
from tests.support.certificates import self_signed
from tests.support.processes import BrokerProcess
from tests.support.servers import serving
from tests.support.wires import Inbox, MqttWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_after_a_broker_was_killed_subscriptions_are_made_again(
    own_broker: BrokerProcess, open_bus: Callable[..., MqttBus]
) -> None:
    wire = MqttWire(own_broker)
    reader, sender = open_bus(wire.settings(), "reader"), open_bus(wire.settings(), "sender")
    inbox = Inbox(reader)
    await reader.subscribe(f"{wire.root}/+", inbox.take)
    heard: list[bool] = []
    reader.watch(heard.append)
    await settled(reader)
    await settled(sender)

    own_broker.kill()
    await eventually(lambda: False in heard, "the loss")
    with pytest.raises(NotConnected):
        await sender.publish(f"{wire.root}/a", b"into the void")
    own_broker.start()
    await eventually(lambda: heard == [True, False, True], "the reconnect")
    await sender.wait_connected(10)
    await sender.publish(f"{wire.root}/a", b"after")

    assert (await inbox.next()).payload == b"after"


async def test_a_bus_may_be_started_long_before_its_broker(
    tmp_path: Path, open_bus: Callable[..., MqttBus]
) -> None:
    broker = BrokerProcess("mosquitto", tmp_path)
    wire = MqttWire(broker)
    bus = open_bus(wire.settings(), "early")
    await bus.start()
    with pytest.raises(NotConnected, match=f"no broker at 127.0.0.1:{broker.port}"):
        await bus.wait_connected(0.2)

    broker.start()
    try:
        await bus.wait_connected(10)
    finally:
        broker.kill()


async def test_mosquitto_says_on_mqtt_5_that_nobody_listens(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    settings = msgspec.structs.replace(mosquitto.settings(), protocol="auto")
    bus = await settled(open_bus(settings, "lonely"))

    assert await bus.publish(f"{mosquitto.root}/nobody", b"?") is Published.NO_SUBSCRIBER

    await bus.subscribe(f"{mosquitto.root}/nobody", bus.acknowledge)
    assert await bus.publish(f"{mosquitto.root}/nobody", b"?") is Published.TAKEN


async def test_the_embedded_broker_is_spoken_to_in_3_1_1_after_a_try_with_5(
    embedded: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    settings = msgspec.structs.replace(embedded.settings(), protocol="auto")
    bus = open_bus(settings, "falls-back")
    await settled(bus)

    assert bus._keeper._brokers.version(Address("127.0.0.1", settings.port)) == 4
    assert await bus.publish(f"{embedded.root}/nobody", b"?") is Published.TAKEN


async def test_a_protocol_that_was_set_is_not_swapped(
    embedded: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    settings = msgspec.structs.replace(embedded.settings(), protocol="5", connect_timeout_s=0.2)
    bus = open_bus(settings, "stubborn")
    await bus.start()

    with pytest.raises(WrongProtocol):
        await bus.wait_connected(1.5)
    assert bus._keeper._brokers.version(Address("127.0.0.1", settings.port)) == 5


async def test_a_listener_that_hangs_up_is_reported_as_no_mqtt_broker(
    open_bus: Callable[..., MqttBus], capsys: pytest.CaptureFixture[str]
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async with serving(hang_up) as port:
        bus = open_bus(MqttSettings(port=port, reconnect_min_s=0.02, reconnect_max_s=0.05), "m")
        await bus.start()
        with pytest.raises(WrongProtocol, match="hung up when asked for MQTT"):
            await bus.wait_connected(1.0)
        await bus.close()

    assert capsys.readouterr().out.count("waiting for the broker") == 1


async def test_refused_credentials_are_named_and_not_taken_for_an_outage(
    tmp_path: Path, open_bus: Callable[..., MqttBus]
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("device-1:secret\n", encoding="utf-8")
    passwords.chmod(0o600)
    hashing = await asyncio.create_subprocess_exec("mosquitto_passwd", "-U", str(passwords))
    assert await hashing.wait() == 0
    extra = ["allow_anonymous false", f"password_file {passwords}"]
    broker = BrokerProcess("mosquitto", tmp_path / "broker", extra=extra).start()
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("secret\n", encoding="utf-8")
    wrong.write_text("guess\n", encoding="utf-8")

    def settings(file: Path) -> MqttSettings:
        return MqttSettings(port=broker.port, username="device-1", password_file=str(file))

    try:
        guessing = open_bus(settings(wrong), "device-1")
        await guessing.start()
        with pytest.raises(Refused, match="refused us: Not authorized"):
            await guessing.wait_connected(0.7)
        await guessing.close()
        await settled(open_bus(settings(right), "device-1"))
    finally:
        broker.kill()


async def test_the_members_of_a_pool_share_its_messages(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    inboxes = []
    for number in range(2):
        bus = await settled(open_bus(mosquitto.settings(), f"{mosquitto.root}-{number}"))
        inboxes.append(Inbox(bus))
        await bus.subscribe(f"$share/edges/{mosquitto.root}/work/+", inboxes[-1].take)
    sender = await settled(open_bus(mosquitto.settings(), "sender"))

    for _ in range(20):
        await sender.publish(f"{mosquitto.root}/work/x", b"")

    await eventually(lambda: sum(len(inbox.messages) for inbox in inboxes) == 20)
    assert all(inbox.messages for inbox in inboxes)


async def test_topics_that_no_broker_takes_are_refused_here(
    mosquitto: MqttWire, open_bus: Callable[..., MqttBus]
) -> None:
    bus = open_bus(mosquitto.settings(), "odd")
    await settled(bus)

    with pytest.raises(Refused, match="wildcards"):
        await bus.publish(f"{mosquitto.root}/+", b"")
    with pytest.raises(Refused, match="filter"):
        await bus.subscribe(f"{mosquitto.root}/#/x", bus.acknowledge)
    bus._subscriptions.clear()


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # left by paho on a failure
async def test_tls_verifies_the_broker_and_carries_large_messages(
    tmp_path: Path, open_bus: Callable[..., MqttBus]
) -> None:
    certificate, key = self_signed(tmp_path)
    port = free_port()
    extra = [f"listener {port} 127.0.0.1", f"certfile {certificate}", f"keyfile {key}"]
    broker = BrokerProcess("mosquitto", tmp_path / "broker", extra=extra).start()
    trusting = MqttSettings(host="localhost", port=port, tls=TlsSettings(ca_file=str(certificate)))
    try:
        bus = await settled(open_bus(trusting, "trusting"))
        inbox = Inbox(bus)
        await bus.subscribe("t/large", inbox.take)
        await bus.publish("t/large", b"x" * 300_000)
        assert len((await inbox.next()).payload) == 300_000

        strict = MqttBus(msgspec.structs.replace(trusting, tls=TlsSettings()), "strict")
        await strict.start()
        with pytest.raises(NotConnected, match=r"(?i)certificate.verify.failed"):
            await strict.wait_connected(1.0)
        await strict.close()
    finally:
        broker.kill()
        await asyncio.get_running_loop().shutdown_default_executor()
        del strict
        gc.collect()


def test_a_missing_password_file_stops_the_start(tmp_path: Path) -> None:
    missing = tmp_path / "password"
    with pytest.raises(SettingsError, match=r"mqtt.password_file '.*password' cannot be read"):
        MqttBus(MqttSettings(username="device-1", password_file=str(missing)), "device-1")
