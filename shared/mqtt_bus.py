"""The bus over MQTT: one connection after another, for as long as it is open.

One code path serves every broker on MQTT 3.1.1 semantics. With ``protocol: auto`` it asks for
MQTT 5 first, whose reason codes and expiry it takes as hints, and falls back where a broker does
not speak it. Reconnects back off with full jitter; subscriptions are renewed on each.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from shared.errors import BusError, NotConnected, RecServeError, SettingsError
from shared.log import get_logger
from shared.mqtt_connection import MqttConnection, WrongProtocol
from shared.mqtt_credentials import check_credentials
from shared.topics import matches, split_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus, Deliver, Delivery, Message, Will
    from shared.settings import MqttSettings

_log = get_logger()
_VERSIONS = {"auto": 5, "5": 5, "3.1.1": 4}
_IN_FLIGHT = 100
_SAY_AGAIN_S = 60.0
_TRIAL_S = 2.0


class _NewWill(NotConnected):
    """The will was replaced while we connected with the one before."""


class MqttBus:
    """See ``shared.bus.Bus``; the identity is user name, client id and topic level in one.

    Raises ``SettingsError`` at once when the password or a certificate cannot be read.
    """

    def __init__(self, settings: MqttSettings, client_id: str, *, will: Will | None = None) -> None:
        check_credentials(settings)
        self.client_id = client_id
        self._settings = settings
        self._will = will
        self._version = _VERSIONS[settings.protocol]
        self._subscriptions: dict[str, Deliver] = {}
        self._watchers: list[Callable[[bool], None]] = []
        self._connection: MqttConnection | None = None
        self._connected = asyncio.Event()
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT)
        self._keeper: asyncio.Task[None] | None = None
        self._last_error: RecServeError = NotConnected("not started")
        self._said_s = float("-inf")

    async def start(self) -> None:
        """Begin to connect, and return at once."""
        self._keeper = asyncio.create_task(self._stay_connected(), name=f"mqtt {self.client_id}")

    async def wait_connected(self, timeout_s: float) -> None:
        """Return when connected; raise the last cause after ``timeout_s``."""
        assert self._keeper is not None, "start() comes first"  # noqa: S101
        waiting = asyncio.ensure_future(self._connected.wait())
        try:
            await asyncio.wait(
                {waiting, self._keeper}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            connected = waiting.done()
            waiting.cancel()
        if self._keeper.done():
            self._keeper.result()
        if not connected:
            raise self._last_error

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: float | None = None
    ) -> Delivery:
        """Publish at QoS 1; at most a hundred wait for the broker at a time."""
        publishing = self._publish(topic, payload, retain, expiry_s)
        try:
            return await asyncio.wait_for(publishing, expiry_s)
        except asyncio.TimeoutError:
            raise NotConnected(f"the broker said nothing for {expiry_s:.3g} s") from None

    async def subscribe(self, topics: str, deliver: Deliver) -> None:
        """Subscribe now if connected, and after every reconnect."""
        self._subscriptions[topics] = deliver
        if self._connection is not None:
            await self._connection.subscribe(topics)

    def acknowledge(self, message: Message) -> None:
        """Send the PUBACK if the connection that brought the message is still there."""
        if message.token is not None:
            connection, mid = _token(message)
            connection.acknowledge(mid)

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call ``changed`` on every connect and loss."""
        self._watchers.append(changed)
        if self._connected.is_set():
            changed(True)

    def reconnect(self, reason: str, *, will: Will | None = None) -> None:
        """Drop the connection for a new one."""
        self._will = will or self._will
        if self._connection is not None:
            self._connection.abandon(reason)

    async def close(self) -> None:
        """Drain, say goodbye, stop."""
        connection, self._connection = self._connection, None
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if connection is not None:
            await connection.close()
        self._connected.clear()

    async def _publish(
        self, topic: str, payload: bytes, retain: bool, expiry_s: float | None
    ) -> Delivery:
        async with self._in_flight:
            if self._connection is None:
                raise NotConnected(str(self._last_error))
            return await self._connection.publish(topic, payload, retain=retain, expiry_s=expiry_s)

    async def _stay_connected(self) -> None:
        delay_s = self._settings.reconnect_min_s
        while True:
            try:
                connection = await self._connect()
            except _NewWill:
                continue
            except (BusError, SettingsError) as error:
                self._last_error = error
                if not (isinstance(error, WrongProtocol) and self._swap_version()):
                    self._report(error)
                await asyncio.sleep(random.uniform(0, delay_s))  # noqa: S311 - jitter
                delay_s = min(delay_s * 2, self._settings.reconnect_max_s)
                continue
            delay_s = self._settings.reconnect_min_s
            self._last_error = NotConnected(await asyncio.shield(connection.lost))
            self._changed(connected=False)
            _log.warning("broker lost", agent=self.client_id, reason=str(self._last_error))

    async def _connect(self) -> MqttConnection:
        """Open a connection and renew the subscriptions, or raise ``BusError``."""
        will = self._will
        connection = MqttConnection(
            self._settings,
            self.client_id,
            will=will,
            version=self._version,
            deliver=self._dispatch,
        )
        try:
            await connection.open(self._handshake_s())
            renewed: set[str] = set()
            while missing := self._subscriptions.keys() - renewed:
                topics = missing.pop()
                await connection.subscribe(topics)
                renewed.add(topics)
        except BaseException:
            connection.abandon()
            raise
        if self._will is not will:
            connection.abandon()
            raise _NewWill
        self._connection = connection
        self._changed(connected=True)
        _log.info("broker connected", agent=self.client_id, mqtt="5" if self._version > 4 else "3")  # noqa: PLR2004
        return connection

    def _handshake_s(self) -> float:
        """Return how long to wait for an agreement: briefly while another version can be tried."""
        timeout_s = self._settings.connect_timeout_s
        trying = self._settings.protocol == "auto" and self._version > 4  # noqa: PLR2004 - MQTT 5
        return min(timeout_s, _TRIAL_S) if trying else timeout_s

    def _swap_version(self) -> bool:
        """Try the other version next; return whether that one is still untried."""
        if self._settings.protocol == "auto":
            self._version = 9 - self._version
            return self._version == _VERSIONS["3.1.1"]
        return False

    def _changed(self, *, connected: bool) -> None:
        if connected:
            self._connected.set()
            self._said_s = float("-inf")
        else:
            self._connection = None
            self._connected.clear()
        for watcher in self._watchers:
            watcher(connected)

    def _report(self, error: RecServeError) -> None:
        """Say that we wait: once, and again each minute; a refusal is an error, not a wait."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._said_s < _SAY_AGAIN_S:
            return
        self._said_s = now_s
        say = _log.warning if isinstance(error, NotConnected) else _log.error
        say("waiting for the broker", agent=self.client_id, reason=str(error))

    def _dispatch(self, message: Message) -> None:
        """Hand a message to its subscription; a fault there must not reach the network code."""
        for topics, deliver in self._subscriptions.items():
            if matches(split_pool(topics)[1], message.topic):
                try:
                    deliver(message)
                except Exception:  # noqa: BLE001 - logged, and the connection lives on
                    _log.exception("a message was not taken", topic=message.topic)
                return
        self.acknowledge(message)


def _token(message: Message) -> Any:
    return message.token


def _is_a_bus(bus: MqttBus) -> Bus:
    return bus  # the type checker holds this to the port
