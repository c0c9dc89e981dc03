"""The bus over MQTT: one connection after another, for as long as it is open.

One code path serves every broker on MQTT 3.1.1 semantics. Which broker, and when to try again, is
the business of ``shared.bus.mqtt.supervisor``; this file puts the verbs of a bus on the connection
of the moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.bus.mqtt.credentials import check_credentials
from shared.bus.mqtt.packet_limit import PacketLimit
from shared.bus.mqtt.supervisor import ConnectionSupervisor
from shared.bus.mqtt.terms import Terms
from shared.errors import LostAtOnce, NotConnected, RecServeError, Refused, TooLarge
from shared.supervision import Supervised
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus, Deliver, Message, NotedRefusal, Published, Will
    from shared.bus.mqtt.connection import MqttConnection
    from shared.bus.mqtt.settings import MqttSettings

_log = get_logger()
_AT_ONCE_S = 1.0
"""A connection that ends this soon after a message may have ended because of it."""


class _Reader(NamedTuple):
    """Who takes the messages of a filter, and hears that the broker refuses it."""

    deliver: Deliver
    refused: NotedRefusal | None


@dataclass
class _Receipt:
    """What one packet waits for until it is acknowledged: all who were handed it."""

    connection: MqttConnection
    mid: int
    readers: int


class MqttBus:
    """See ``shared.bus.Bus``; the identity is user name, client id and topic level in one.

    Raises ``SettingsError`` at once when the password or a certificate cannot be read.
    """

    def __init__(self, settings: MqttSettings, client_id: str, *, will: Will | None = None) -> None:
        check_credentials(settings)
        self.client_id = client_id
        self.hints_dropped = 0
        self._subscriptions: dict[str, list[_Reader]] = {}
        self._watchers: list[Callable[[bool], None]] = []
        self._connection: MqttConnection | None = None
        self._connected = asyncio.Event()
        self._limit = PacketLimit(settings.packet_bytes)
        self._keeper = ConnectionSupervisor(
            settings,
            client_id,
            will=will,
            subscriptions=self._subscriptions.keys(),
            renew=self._renew,
            deliver=self._dispatch,
            changed=self._change,
        )
        self._keeping: Supervised | None = None

    async def start(self) -> None:
        """Begin to connect, and return at once."""
        self._keeping = Supervised(f"mqtt {self.client_id}", self._keeper.run)

    async def wait_connected(self, timeout_s: float) -> None:
        """Return when connected; raise the last cause after ``timeout_s``."""
        assert self._keeping is not None, "start() comes first"  # noqa: S101
        if self._live is None:  # lost a moment ago, and nobody has been told yet
            self._connected.clear()
        try:
            await asyncio.wait_for(self._connected.wait(), timeout_s)
        except asyncio.TimeoutError:
            raise self._last_error from None

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
        """Publish at QoS 1; at most a hundred wait for the broker at a time."""
        terms = Terms(retain, expiry_s, response_topic, correlation)
        if expiry_s is None:
            return await self._publish(topic, payload, terms)
        # Not wait_for, which on Python 3.11 may take our own cancellation for its end.
        publishing = asyncio.ensure_future(self._publish(topic, payload, terms))
        try:
            done, _ = await asyncio.wait({publishing}, timeout=expiry_s)
        finally:
            publishing.cancel()
        if not done:
            raise NotConnected(f"the broker said nothing for {expiry_s:.3g} s")
        return publishing.result()

    def send_soon(self, topic: str, payload: bytes) -> None:
        """Send at QoS 0; of all hints at most 64 KiB wait for the socket, further are dropped."""
        if not self._sent(topic, payload):
            self.hints_dropped += 1

    async def subscribe(
        self, topics: str, deliver: Deliver, *, refused: NotedRefusal | None = None
    ) -> None:
        """Subscribe now if connected, and at every later connection."""
        self._subscriptions.setdefault(topics, []).append(_Reader(deliver, refused))
        if self._connection is not None:
            with contextlib.suppress(NotConnected):  # the next connection brings it
                await self._renew(self._connection, topics)

    def unsubscribe(self, topics: str, deliver: Deliver) -> None:
        """Read no more of a filter; the last of its readers tells the broker."""
        left = [each for each in self._subscriptions.pop(topics, []) if each.deliver != deliver]
        if left:
            self._subscriptions[topics] = left
        elif self._connection is not None:
            self._connection.unsubscribe(topics)

    def acknowledge(self, message: Message) -> None:
        """Send the PUBACK when all who were handed the message have said so.

        Without effect when the connection that brought it is gone.
        """
        receipt: Any = message.token
        if receipt is None:
            return
        receipt.readers -= 1
        if receipt.readers == 0:
            receipt.connection.acknowledge(receipt.mid)

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call ``changed`` on every connect and loss."""
        self._watchers.append(changed)
        if self._connected.is_set():
            changed(True)

    def reconnect(self, reason: str, *, will: Will | None = None) -> None:
        """Drop the connection for a new one."""
        self._keeper.will = will or self._keeper.will
        if self._connection is not None:
            self._connection.abandon(reason)

    async def close(self) -> None:
        """Drain, say goodbye, stop."""
        connection, self._connection = self._connection, None
        if self._keeping is not None:
            await self._keeping.stop()
        if connection is not None:
            await connection.close()
        self._connected.clear()

    @property
    def _live(self) -> MqttConnection | None:
        """The connection of the moment, unless it is lost."""
        connection = self._connection
        return None if connection is None or connection.lost.done() else connection

    @property
    def _last_error(self) -> RecServeError:
        return self._keeper.last_error

    def _sent(self, topic: str, payload: bytes) -> bool:
        """Say whether a hint could be handed to the connection of the moment."""
        connection = self._live
        if connection is None:
            return False
        try:
            size = self._limit.check(topic, payload, time.monotonic())
        except TooLarge:
            return False
        return connection.send_soon(topic, payload, size)

    async def _publish(self, topic: str, payload: bytes, terms: Terms) -> Published:
        """Publish on the connection of the moment, if the broker carries that much."""
        connection = self._live
        if connection is None:
            raise NotConnected(str(self._last_error))
        async with connection.in_flight:
            if connection.lost.done():
                raise NotConnected(connection.lost.result())
            sent_s = time.monotonic()
            more_bytes = len(terms.correlation) + len(terms.response_topic.encode())
            size = self._limit.check(topic, payload, sent_s, more_bytes=more_bytes)
            try:
                delivery = await connection.publish(topic, payload, terms)
            except NotConnected as error:
                now_s = time.monotonic()
                if now_s - sent_s > _AT_ONCE_S:
                    raise
                self._limit.lost(size, now_s)
                raise LostAtOnce(str(error)) from error
            self._limit.took(size)
            return delivery

    def _change(self, connection: MqttConnection | None) -> None:
        """Take over a new connection, or none, and tell who watches; a fault there is theirs."""
        self._connection = connection
        if connection is not None:
            for unwanted in connection.filters.difference(self._subscriptions):
                connection.unsubscribe(unwanted)
            self._limit.connected(connection.packet_bytes)
            self._connected.set()
        else:
            self._connected.clear()
        for watcher in self._watchers:
            self._tell(watcher, connected=connection is not None)

    def _tell(self, watcher: Callable[[bool], None], *, connected: bool) -> None:
        try:
            watcher(connected)
        except Exception:  # noqa: BLE001 - logged, and the bus lives on
            _log.exception("a watcher of the connection broke", agent=self.client_id)

    async def _renew(self, connection: MqttConnection, topics: str) -> None:
        """Subscribe on a connection; a refusal is told to who can do without, else raised."""
        try:
            await connection.subscribe(topics)
        except Refused as error:
            for reader in self._subscriptions.get(topics, ()):
                if reader.refused is None:
                    raise
                reader.refused(error)

    def _dispatch(self, message: Message, filters: list[str]) -> None:
        """Hand a message to its readers."""
        readers = [reader for each in filters for reader in self._subscriptions.get(each, ())]
        if message.token is not None:
            connection, mid = _token(message)
            if not readers:
                connection.acknowledge(mid)
            message = message._replace(token=_Receipt(connection, mid, len(readers)))
        for reader in readers:
            self._hand_over(message, reader.deliver)

    def _hand_over(self, message: Message, deliver: Deliver) -> None:
        """Let one reader take a message; a fault there must not reach the network code."""
        try:
            deliver(message)
        except Exception:  # noqa: BLE001 - logged, and the connection lives on
            _log.exception("a message was not taken", topic=message.topic)


def _token(message: Message) -> Any:
    return message.token


def _is_a_bus(bus: MqttBus) -> Bus:
    return bus  # the type checker holds this to the port
