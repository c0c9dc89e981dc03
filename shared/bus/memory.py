"""A broker and its clients inside one process: the double of ``shared.bus.mqtt.bus``.

It keeps what agents may rely on and no more: QoS 1 within a connection, retained messages, wills,
shared subscriptions in turn. ``MemoryBroker.drop`` cuts a client off as a dead link would, and
``deafen`` leaves it connected and brings it nothing any more; ``deny`` refuses a filter.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from shared.bus import Message, Published
from shared.errors import NotConnected, Refused, TooLarge
from shared.wire.filters import matches, split_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus, Deliver, NotedRefusal, Will


class MemoryBroker:
    """Routes messages between the ``MemoryBus`` clients made by ``client``."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.published: Counter[str] = Counter()
        self.packet_bytes = 1 << 20
        self._clients: dict[str, MemoryBus] = {}
        self._turns: Counter[str] = Counter()
        self._deaf: set[str] = set()
        self.denied: set[str] = set()

    def client(self, client_id: str, will: Will | None = None) -> MemoryBus:
        """Return a client that connects when started."""
        return MemoryBus(self, client_id, will)

    def drop(self, client_id: str) -> None:
        """Cut a client off without a goodbye: its will is published."""
        client = self._clients.pop(client_id)
        client.lose()
        if client.will is not None:
            self.route(Message(client.will.topic, client.will.payload), retain=True)

    def deafen(self, client_id: str) -> None:
        """Bring a client nothing any more, until it connects anew."""
        self._deaf.add(client_id)

    def deny(self, topics: str) -> None:
        """Refuse subscriptions to a filter from now on."""
        self.denied.add(topics)

    def join(self, client: MemoryBus) -> None:
        """Connect a client, taking over from an older one of the same id."""
        if client.client_id in self._clients:
            self.drop(client.client_id)
        self._clients[client.client_id] = client
        self._deaf.discard(client.client_id)

    def leave(self, client: MemoryBus) -> None:
        """Disconnect a client that said goodbye."""
        if self._clients.get(client.client_id) is client:
            del self._clients[client.client_id]

    def route(self, message: Message, *, retain: bool) -> Published:
        """Hand a message to everyone who subscribed to it, and keep it if retained."""
        topic, payload = message.topic, message.payload
        self.published[topic] += 1
        if retain:
            self.retained.pop(topic, None)
            if payload:
                self.retained[topic] = payload
        plain: list[Deliver] = []
        pools: dict[str, list[Deliver]] = {}
        for client in self._clients.values():
            if client.client_id in self._deaf:
                continue
            for topics, deliver in client.subscriptions:
                pool, pattern = split_pool(topics)
                if matches(pattern, topic):
                    (pools.setdefault(pool, []) if pool else plain).append(deliver)
        for pool, members in pools.items():
            self._turns[pool] += 1
            plain.append(members[self._turns[pool] % len(members)])
        for deliver in plain:
            asyncio.get_running_loop().call_soon(deliver, message)
        return Published.TAKEN if plain else Published.NO_SUBSCRIBER


class MemoryBus:
    """One client of a ``MemoryBroker``; see ``shared.bus.Bus`` for its verbs."""

    def __init__(self, broker: MemoryBroker, client_id: str, will: Will | None) -> None:
        self.client_id = client_id
        self.will = will
        self.subscriptions: list[tuple[str, Deliver]] = []
        self._wanted: list[tuple[str, Deliver, NotedRefusal | None]] = []
        self.acknowledged = 0
        self.hints_dropped = 0
        self._broker = broker
        self._connected = asyncio.Event()
        self._watchers: list[Callable[[bool], None]] = []

    async def start(self) -> None:
        """Connect; this broker is always there."""
        self._join()

    def _join(self) -> None:
        self._broker.join(self)
        self._connected.set()
        self.subscriptions.clear()
        for wanted in self._wanted:
            self._renew(*wanted)
        for changed in self._watchers:
            changed(True)

    async def wait_connected(self, timeout_s: float) -> None:
        """Return when connected."""
        try:
            await asyncio.wait_for(self._connected.wait(), timeout_s)
        except asyncio.TimeoutError:
            raise NotConnected(f"{self.client_id} was cut off from the memory broker") from None

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: float | None = None,
        response_topic: str = "",
        correlation: bytes = b"",
    ) -> Published:
        """Route the message; expiry means nothing where nothing is queued."""
        del expiry_s
        size = _size(topic, payload)
        if size > self._broker.packet_bytes:
            over_bytes = size - self._broker.packet_bytes
            said = f"{size} bytes are more than the memory broker carries"
            raise TooLarge(said, over_bytes=over_bytes)
        if not self._connected.is_set():
            raise NotConnected(f"{self.client_id} is cut off from the memory broker")
        await asyncio.sleep(0)
        message = Message(topic, payload, response_topic=response_topic, correlation=correlation)
        return self._broker.route(message, retain=retain)

    def send_soon(self, topic: str, payload: bytes) -> None:
        """Route the message now, or drop it."""
        fits = _size(topic, payload) <= self._broker.packet_bytes
        if self._connected.is_set() and fits:
            self._broker.route(Message(topic, payload), retain=False)
        else:
            self.hints_dropped += 1

    async def subscribe(
        self, topics: str, deliver: Deliver, *, refused: NotedRefusal | None = None
    ) -> None:
        """Subscribe, and hand over what is retained once connected."""
        self._wanted.append((topics, deliver, refused))
        if self._connected.is_set():
            self._renew(topics, deliver, refused)

    def unsubscribe(self, topics: str, deliver: Deliver) -> None:
        """Hand over no more of a filter."""
        self._wanted = [each for each in self._wanted if each[:2] != (topics, deliver)]
        self.subscriptions[:] = [each for each in self.subscriptions if each != (topics, deliver)]

    def _renew(self, topics: str, deliver: Deliver, refused: NotedRefusal | None) -> None:
        if topics in self._broker.denied:
            error = Refused(f"the broker refused the subscription to {topics!r}")
            if refused is None:
                raise error
            refused(error)
            return
        self.subscriptions.append((topics, deliver))
        self._hand_over_retained(topics, deliver)

    def acknowledge(self, message: Message) -> None:
        """Count it."""
        del message
        self.acknowledged += 1

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call ``changed`` on each connect and loss."""
        self._watchers.append(changed)
        if self._connected.is_set():
            changed(True)

    def reconnect(self, reason: str, *, will: Will | None = None) -> None:
        """Be cut off, and connect again a moment later."""
        del reason
        connected = self._connected.is_set()
        if connected:
            self._broker.drop(self.client_id)
        self.will = will or self.will
        if connected:
            asyncio.get_running_loop().call_soon(self._join)

    def lose(self) -> None:
        """Be cut off."""
        self._connected.clear()
        for changed in self._watchers:
            changed(False)

    async def close(self) -> None:
        """Say goodbye."""
        self._broker.leave(self)
        self._connected.clear()

    def _hand_over_retained(self, topics: str, deliver: Deliver) -> None:
        pool, pattern = split_pool(topics)
        for topic, payload in self._broker.retained.items():
            if not pool and matches(pattern, topic):
                message = Message(topic, payload, retained=True)
                asyncio.get_running_loop().call_soon(deliver, message)


def _size(topic: str, payload: bytes) -> int:
    return len(topic.encode()) + len(payload)


def _is_a_bus(client: MemoryBus) -> Bus:
    return client  # the type checker holds the double to the port
