"""The proxy over a real broker: it does what it says to messages, and nothing to the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from chaos.proxy import LinkFaults, Proxy
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import NotConnected
from tests.support.processes import BrokerProcess
from tests.support.wires import Inbox, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[tuple[Proxy, MqttBus, MqttBus]]:
    """A proxy, a client behind it, and one that reaches the broker directly."""
    broker = BrokerProcess("mosquitto", tmp_path).start()
    proxy = Proxy(broker.port, seed=1)
    await proxy.start()
    clients = []
    for port, name in ((proxy.port, "behind"), (broker.port, "direct")):
        settings = MqttSettings(
            port=port, protocol="5", keepalive_s=1, reconnect_min_s=0.05, reconnect_max_s=0.1
        )
        client = MqttBus(settings, name)
        await client.start()
        await client.wait_connected(5)
        clients.append(client)
    yield proxy, clients[0], clients[1]
    proxy.faults = LinkFaults()
    for client in clients:
        await client.close()
    await proxy.close()
    broker.kill()


async def send(bus: MqttBus, count: int) -> None:
    for number in range(count):
        await bus.publish("t", str(number).encode())


async def test_without_faults_everything_passes_in_order(
    linked: tuple[Proxy, MqttBus, MqttBus],
) -> None:
    _, behind, direct = linked
    inbox = Inbox(direct)
    await direct.subscribe("t", inbox.take)
    await send(behind, 50)
    await eventually(lambda: len(inbox.messages) == 50)
    assert inbox.payloads == [str(number).encode() for number in range(50)]


async def test_a_lost_message_is_acknowledged_and_never_arrives(
    linked: tuple[Proxy, MqttBus, MqttBus],
) -> None:
    proxy, behind, direct = linked
    inbox = Inbox(direct)
    await direct.subscribe("t", inbox.take)
    proxy.faults = LinkFaults(lose=1.0)
    await send(behind, 5)
    proxy.faults = LinkFaults()
    await behind.publish("t", b"last")
    await eventually(lambda: len(inbox.messages) == 1)
    assert inbox.payloads == [b"last"]


async def test_repeated_and_reordered_messages_all_arrive(
    linked: tuple[Proxy, MqttBus, MqttBus],
) -> None:
    proxy, behind, direct = linked
    inbox = Inbox(behind)
    await behind.subscribe("t", inbox.take)
    proxy.faults = LinkFaults(repeat=0.3, reorder=0.3)
    await asyncio.gather(*(direct.publish("t", str(number).encode()) for number in range(60)))
    everything = {str(number).encode() for number in range(60)}
    await eventually(lambda: set(inbox.payloads) == everything)
    assert len(inbox.messages) > 60, "some came twice"
    firsts = list(dict.fromkeys(inbox.payloads))
    assert firsts != sorted(firsts, key=int), "some came out of order"


async def test_a_cut_link_is_noticed_and_comes_back(
    linked: tuple[Proxy, MqttBus, MqttBus],
) -> None:
    proxy, behind, direct = linked
    inbox = Inbox(direct)
    await direct.subscribe("t", inbox.take)
    proxy.cut()
    await asyncio.sleep(0.05)
    await behind.wait_connected(5)
    await behind.publish("t", b"back")
    assert (await inbox.next()).payload == b"back"


async def test_a_slow_link_carries_everything_late_and_in_order(
    linked: tuple[Proxy, MqttBus, MqttBus],
) -> None:
    proxy, behind, direct = linked
    inbox = Inbox(direct)
    await direct.subscribe("t", inbox.take)
    proxy.faults = LinkFaults(delay_s=0.1)
    started_s = asyncio.get_running_loop().time()
    await asyncio.gather(*(behind.publish("t", str(number).encode()) for number in range(5)))
    assert asyncio.get_running_loop().time() - started_s > 0.2, "there and back"
    await eventually(lambda: len(inbox.messages) == 5)
    assert inbox.payloads == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_black_hole_answers_nothing(linked: tuple[Proxy, MqttBus, MqttBus]) -> None:
    proxy, behind, _ = linked
    proxy.faults = LinkFaults(silent=frozenset({"up", "down"}))
    with pytest.raises(NotConnected):
        await behind.publish("t", b"gone", expiry_s=0.3)
