"""Which broker a bus is on: two real ones, killed, frozen and started again; odd listeners."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from experiments.testbed.processes import free_port
from shared.bus import Will
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.connection import MqttConnection
from shared.bus.mqtt.settings import MqttSettings, TlsSettings
from shared.errors import NotConnected
from shared.membership.announcer import Announcer
from shared.membership.status import Load
from tests.support.certificates import self_signed
from tests.support.processes import BrokerProcess
from tests.support.servers import serving
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from shared.bus import Bus

CONNACK = b"\x20\x02\x00\x00"


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[tuple[BrokerProcess, BrokerProcess]]:
    """Two Mosquittos of one site, the preferred one first."""
    first = BrokerProcess("mosquitto", tmp_path / "first").start()
    second = BrokerProcess("mosquitto", tmp_path / "second").start()
    yield first, second
    first.kill()
    second.kill()


@pytest.fixture
async def open_bus() -> AsyncIterator[Callable[..., MqttBus]]:
    """Makes MQTT buses from settings and closes them."""
    made: list[MqttBus] = []

    def make(settings: MqttSettings, name: str, will: Will | None = None) -> MqttBus:
        made.append(MqttBus(settings, name, will=will))
        return made[-1]

    yield make
    for bus in made:
        await bus.close()


def site(brokers: tuple[BrokerProcess, BrokerProcess], **changes: Any) -> MqttSettings:
    first, second = brokers
    settings = MqttSettings(
        port=first.port,
        fallbacks=(f"127.0.0.1:{second.port}",),
        protocol="5",
        reconnect_min_s=0.05,
        reconnect_max_s=0.2,
        connect_timeout_s=0.5,
        return_s=0.4,
    )
    return msgspec.structs.replace(settings, **changes)


def port_of(bus: Bus) -> int | None:
    assert isinstance(bus, MqttBus)
    return None if bus._connection is None else bus._connection.address.port


async def all_on(port: int, *buses: Bus) -> None:
    await eventually(lambda: {port_of(bus) for bus in buses} == {port}, f"all on {port}")


async def last_word_on(broker: str, settings: MqttSettings) -> str:
    """What a bus says of a broker that it cannot connect to."""
    bus = MqttBus(settings, "refused")
    await bus.start()
    await eventually(lambda: broker in str(bus._last_error), "the attempt")
    said = str(bus._last_error)
    await bus.close()
    return said


# -- two brokers -------------------------------------------------------------------------------


async def test_when_a_broker_is_killed_all_meet_on_the_next_and_return_when_it_is_back(
    brokers: tuple[BrokerProcess, BrokerProcess], open_bus: Callable[..., MqttBus]
) -> None:
    first, second = brokers
    settings = site(brokers)
    buses = [open_bus(settings, f"agent-{number}") for number in range(4)]
    inbox = Inbox(buses[0])
    await buses[0].subscribe("site/in", inbox.take)
    for bus in buses:
        await settled(bus)
    await all_on(first.port, *buses)

    first.kill()
    await all_on(second.port, *buses)
    await buses[3].publish("site/in", b"over the second")
    assert (await inbox.next()).payload == b"over the second"

    late = await settled(open_bus(settings, "late"))
    assert port_of(late) == second.port

    first.start()
    await all_on(first.port, *buses, late)
    await late.publish("site/in", b"over the first again")
    assert (await inbox.next()).payload == b"over the first again"


async def test_who_returns_leaves_its_will_behind_and_hears_of_loss_and_connection(
    brokers: tuple[BrokerProcess, BrokerProcess], open_bus: Callable[..., MqttBus]
) -> None:
    first, second = brokers
    first.kill()
    bus = open_bus(site(brokers), "agent", Will("status/agent", b"offline"))
    heard: list[bool] = []
    bus.watch(heard.append)
    await settled(bus)
    assert port_of(bus) == second.port
    stays = await settled(open_bus(MqttSettings(port=second.port, protocol="5"), "stays"))
    inbox = Inbox(stays)
    await stays.subscribe("status/+", inbox.take)

    first.start()
    await all_on(first.port, bus)

    assert (await inbox.next()).payload == b"offline"
    assert heard == [True, False, True]


async def test_a_broker_that_freezes_is_left_for_the_next_by_the_canary(
    brokers: tuple[BrokerProcess, BrokerProcess], open_bus: Callable[..., MqttBus]
) -> None:
    """Keepalive would take half a minute."""
    first, second = brokers
    announcer = Announcer(
        "status/edge/agent", tasks=["classify"], model="m", heartbeat_s=0.3, load=Load
    )
    bus = open_bus(site(brokers), "agent", announcer.will())
    await settled(bus)
    announcing = asyncio.create_task(announcer.run(bus))
    await asyncio.sleep(0.2)

    first.freeze()
    await all_on(second.port, bus)
    first.thaw()
    await all_on(first.port, bus)

    announcing.cancel()
    await asyncio.gather(announcing, return_exceptions=True)


async def test_while_a_preferred_broker_cannot_be_reached_the_fallback_serves(
    brokers: tuple[BrokerProcess, BrokerProcess], open_bus: Callable[..., MqttBus]
) -> None:
    first, _ = brokers
    first.kill()
    bus = await settled(open_bus(site(brokers, return_s=0.02), "agent"))
    heard: list[bool] = []
    bus.watch(heard.append)
    for _ in range(20):
        await bus.publish("x", b"")
        await asyncio.sleep(0.02)
    assert heard == [True]


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # left by paho on a failure
async def test_each_broker_is_held_to_the_name_by_which_it_was_called(
    tmp_path: Path, open_bus: Callable[..., MqttBus]
) -> None:
    """The certificate is for ``localhost``; as 127.0.0.2 it is nobody we know."""
    certificate, key = self_signed(tmp_path)
    port = free_port()
    files = [f"certfile {certificate}", f"keyfile {key}"]
    extra = [f"listener {port} 127.0.0.1", *files, f"listener {port} 127.0.0.2", *files]
    broker = BrokerProcess("mosquitto", tmp_path / "broker", extra=extra).start()
    nobody = free_port()
    settings = MqttSettings(
        host="localhost",
        port=nobody,
        protocol="5",
        reconnect_min_s=0.02,
        reconnect_max_s=0.05,
        tls=TlsSettings(ca_file=str(certificate)),
    )
    try:
        called = msgspec.structs.replace(settings, fallbacks=(f"localhost:{port}",))
        assert port_of(await settled(open_bus(called, "called"))) == port
        miscalled = msgspec.structs.replace(settings, fallbacks=(f"127.0.0.2:{port}",))
        refused = await last_word_on(f"127.0.0.2:{port} (", miscalled)
        assert "certificate verify failed" in refused.lower().replace("_", " ")
    finally:
        broker.kill()
        await asyncio.get_running_loop().shutdown_default_executor()
        gc.collect()


# -- listeners that are not as they should be --------------------------------------------------


async def test_a_broker_that_does_not_answer_a_subscription_loses_the_connection(
    open_bus: Callable[..., MqttBus],
) -> None:
    connects = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connects
        connects += 1
        writer.write(CONNACK)
        while await reader.read(1000):
            pass

    async with serving(silent) as port:
        settings = MqttSettings(
            port=port, protocol="3.1.1", connect_timeout_s=0.2, reconnect_min_s=0.02
        )
        bus = await settled(open_bus(settings, "asks"))
        await bus.subscribe("a/+", bus.acknowledge)
        await eventually(lambda: connects > 2, "further attempts, with the subscription")
        with pytest.raises(NotConnected, match=r"said nothing for 0\.2 s when asked for 'a/\+'"):
            await bus.wait_connected(0.1)
        await bus.close()


async def test_two_processes_that_throw_each_other_out_do_not_spin(
    brokers: tuple[BrokerProcess, BrokerProcess], open_bus: Callable[..., MqttBus]
) -> None:
    settings = site(brokers, reconnect_min_s=0.5, reconnect_max_s=2.0)
    one, other = open_bus(settings, "twin"), open_bus(settings, "twin")
    heard: list[bool] = []
    for bus in (one, other):
        bus.watch(heard.append)
        await bus.start()
    await asyncio.sleep(2.0)
    assert 3 <= heard.count(True) < 40


# -- faults of our own -------------------------------------------------------------------------


async def test_a_fault_of_our_own_is_logged_and_the_connection_is_sought_again(
    brokers: tuple[BrokerProcess, BrokerProcess],
    open_bus: Callable[..., MqttBus],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, faults = MqttConnection.open, 2

    async def faulty(connection: MqttConnection, timeout_s: float) -> None:
        nonlocal faults
        faults -= 1
        if faults >= 0:
            raise RuntimeError("cannot schedule new futures after shutdown")
        await whole(connection, timeout_s)

    monkeypatch.setattr(MqttConnection, "open", faulty)
    bus = open_bus(site(brokers), "agent")
    await bus.start()

    await bus.wait_connected(5)

    assert capsys.readouterr().out.count("[error    ] keeping the connection broke") == 2


async def test_a_watcher_that_raises_harms_nobody_else(
    brokers: tuple[BrokerProcess, BrokerProcess],
    open_bus: Callable[..., MqttBus],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bus = open_bus(site(brokers), "agent")
    heard: list[bool] = []

    def broken(connected: bool) -> None:
        raise RuntimeError("a fault in the agent")

    bus.watch(broken)
    bus.watch(heard.append)
    await settled(bus)
    bus.reconnect("to hear it again")
    await eventually(lambda: heard == [True, False, True], "the reconnect")

    assert capsys.readouterr().out.count("[error    ] a watcher of the connection broke") == 3
