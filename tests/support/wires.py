"""The three things that can carry messages, behind one set of handles, so that tests over all of
them read the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from shared.bus.memory import MemoryBroker, MemoryBus
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.agent.settings import AgentSettings
    from shared.bus import Bus, Message, Will
    from tests.support.processes import BrokerProcess

CONNECT_S = 10.0


class Wire(Protocol):
    """Makes buses that reach each other, and breaks them."""

    root: str
    """First topic level that no other test uses."""

    def bus(self, name: str, will: Will | None = None) -> Bus:
        """Return a bus that is not started."""

    def connect(self, settings: AgentSettings, will: Will | None) -> Bus:
        """Return an agent's bus; fits ``assemble``."""

    def cut(self, bus: Bus) -> None:
        """Break a client's connection as a dead link would; it may connect again."""

    def kill(self, bus: Bus) -> None:
        """End a client for good, without a goodbye, as kill -9 would."""

    async def return_(self, bus: Bus) -> None:
        """Let a client that was cut off connect again; MQTT buses do so by themselves."""

    async def close(self) -> None:
        """Close every bus that was made."""


class MemoryWire:
    """Inside this process."""

    def __init__(self) -> None:
        self.root = f"t-{uuid4().hex[:8]}"
        self.broker = MemoryBroker()
        self._made: list[Bus] = []

    def bus(self, name: str, will: Will | None = None) -> Bus:
        self._made.append(self.broker.client(name, will))
        return self._made[-1]

    def connect(self, settings: AgentSettings, will: Will | None) -> Bus:
        return self.bus(settings.agent, will)

    def cut(self, bus: Bus) -> None:
        assert isinstance(bus, MemoryBus)
        self.broker.drop(bus.client_id)

    def kill(self, bus: Bus) -> None:
        self.cut(bus)

    async def return_(self, bus: Bus) -> None:
        await bus.start()

    async def close(self) -> None:
        for bus in self._made:
            await bus.close()


class MqttWire:
    """Over a real broker."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.root = f"t-{uuid4().hex[:8]}"
        self.broker = broker
        self._made: list[Bus] = []

    def settings(self) -> MqttSettings:
        return MqttSettings(
            port=self.broker.port,
            root=self.root,
            # The embedded broker would first be asked for MQTT 5, and two seconds be lost.
            protocol="3.1.1" if self.broker.kind == "embedded" else "5",
            reconnect_min_s=0.05,
            reconnect_max_s=0.2,
        )

    def bus(self, name: str, will: Will | None = None) -> Bus:
        self._made.append(MqttBus(self.settings(), f"{self.root}-{name}", will=will))
        return self._made[-1]

    def connect(self, settings: AgentSettings, will: Will | None) -> Bus:
        return self.bus(settings.agent, will)

    def cut(self, bus: Bus) -> None:
        assert isinstance(bus, MqttBus)
        assert bus._connection is not None
        bus._connection.abandon()

    def kill(self, bus: Bus) -> None:
        assert isinstance(bus, MqttBus)
        assert bus._keeping is not None
        bus._keeping._stopped = True
        bus._keeping.task.cancel()
        connection, bus._connection = bus._connection, None
        if connection is not None:
            connection.abandon()

    async def return_(self, bus: Bus) -> None:
        assert isinstance(bus, MqttBus)
        await eventually(lambda: bus._connection is not None and not bus._connection.lost.done())

    async def close(self) -> None:
        for bus in self._made:
            await bus.close()


class Inbox:
    """Takes what a subscription delivers; acknowledges unless told otherwise."""

    def __init__(self, bus: Bus, *, acknowledges: bool = True) -> None:
        self.messages: list[Message] = []
        self._bus = bus
        self._acknowledges = acknowledges
        self._waiting: asyncio.Queue[Message] = asyncio.Queue()

    def take(self, message: Message) -> None:
        self.messages.append(message)
        self._waiting.put_nowait(message)
        if self._acknowledges:
            self._bus.acknowledge(message)

    async def next(self, timeout_s: float = 5.0) -> Message:
        return await asyncio.wait_for(self._waiting.get(), timeout_s)

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


async def eventually(
    holds: Callable[[], bool], what: str = "the condition", timeout_s: float = 8.0
) -> None:
    """Return once ``holds`` does; fail after ``timeout_s``."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + timeout_s
    while not holds():
        assert loop.time() < give_up_s, f"{what} did not come true within {timeout_s} s"
        await asyncio.sleep(0.01)


async def settled(bus: Bus) -> Bus:
    """Start a bus and return it connected."""
    await bus.start()
    await bus.wait_connected(CONNECT_S)
    return bus
