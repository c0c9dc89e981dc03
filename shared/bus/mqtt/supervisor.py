"""Keeps one MQTT connection up: to the first broker of the list that can be reached.

With ``protocol: auto`` each broker is asked for MQTT 5 first, whose reason codes and expiry are
taken as hints, and then for 3.1.1. Subscriptions are renewed before a connection counts. From a
fallback it looks at the brokers preferred to it every ``mqtt.return_s``, and moves when one of them
answers. Order and pauses are the business of ``shared.bus.mqtt.failover``.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from shared.bus.mqtt.connection import MqttConnection, WrongProtocol
from shared.bus.mqtt.failover import BrokerFailover
from shared.errors import BusError, NotConnected, RecServeError, SettingsError
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from shared.bus import Message, Will
    from shared.bus.mqtt.settings import MqttSettings
    from shared.settings.address import Address

_log = get_logger()
_SAY_AGAIN_S: Final = 60.0
_JITTER: Final = 0.5
"""Share of ``return_s`` by which a look may be earlier or later: everybody would come at once."""


class _NewWill(NotConnected):
    """The will was replaced while we connected with the one before."""


class ConnectionSupervisor:
    """Connects, waits for the end, connects again; ``changed`` hears of each, None for a loss."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        will: Will | None,
        subscriptions: Collection[str],
        renew: Callable[[MqttConnection, str], Awaitable[None]],
        deliver: Callable[[Message, list[str]], None],
        changed: Callable[[MqttConnection | None], None],
    ) -> None:
        self.will = will
        self.last_error: RecServeError = NotConnected("not started")
        self._settings = settings
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._renew = renew
        self._deliver = deliver
        self._changed = changed
        self._draw = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._brokers = BrokerFailover(settings, self._draw)
        self._connection: MqttConnection | None = None
        self._said_s = float("-inf")

    async def run(self) -> None:
        """Stay connected until cancelled; what breaks in here is logged, and all begun anew."""
        while True:
            try:
                await self._stay_connected()
            except Exception as error:  # noqa: BLE001 - without us the agent would be deaf for good
                _log.exception("keeping the connection broke", agent=self._client_id)
                self._drop(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._settings.reconnect_min_s)

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        better: MqttConnection | None = None
        while True:
            connection = self._connection = better or await self._search()
            since_s = loop.time()
            self._say_connected(connection)
            self._changed(connection)
            better = await self._hold(connection)
            if better is not None:
                self._drop("a preferred broker is back")
                continue
            reason = connection.lost.result()
            _log.warning("broker lost", agent=self._client_id, reason=reason)
            self._drop(reason)
            await asyncio.sleep(self._brokers.lost(loop.time() - since_s))

    def _drop(self, reason: str) -> None:
        """Let go of the connection, if there is one, without a goodbye: its will goes out."""
        self.last_error = NotConnected(reason)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon(reason)
            self._changed(None)

    async def _search(self) -> MqttConnection:
        """Try the brokers in turn, for as long as it takes."""
        while True:
            address = self._brokers.next
            try:
                return await self._connect(address)
            except _NewWill:
                continue
            except (BusError, SettingsError) as error:
                self.last_error = error
                wrong = isinstance(error, WrongProtocol)
                if wrong and self._brokers.swap_version(address):
                    continue
                self._report(error)
            await asyncio.sleep(self._brokers.failed())

    async def _hold(self, connection: MqttConnection) -> MqttConnection | None:
        """Return when the connection is lost, or with one to a broker that is preferred to it."""
        preferred = self._brokers.before(connection.address)
        while True:
            jitter = self._draw.uniform(1 - _JITTER, 1 + _JITTER)
            wait_s = self._settings.return_s * jitter if preferred else None
            await asyncio.wait({connection.lost}, timeout=wait_s)
            if connection.lost.done():
                return None
            for address in preferred:
                if (better := await self._look_at(address)) is not None:
                    return better

    async def _look_at(self, address: Address) -> MqttConnection | None:
        try:
            return await self._connect(address)
        except (BusError, SettingsError) as error:
            _log.debug("still on a fallback", agent=self._client_id, reason=str(error))
            return None

    async def _connect(self, address: Address) -> MqttConnection:
        """Open a connection and renew the subscriptions, or raise ``BusError``."""
        will = self.will
        connection = MqttConnection(
            self._settings,
            self._client_id,
            will=will,
            version=self._brokers.version(address),
            deliver=self._deliver,
            address=address,
        )
        try:
            await connection.open(self._brokers.handshake_s(address))
            renewed: set[str] = set()
            while missing := set(self._subscriptions) - renewed:
                topics = missing.pop()
                await self._renew(connection, topics)
                renewed.add(topics)
        except BaseException:
            connection.abandon()
            raise
        if self.will is not will:
            connection.abandon()
            raise _NewWill("the will was replaced meanwhile")
        return connection

    def _say_connected(self, connection: MqttConnection) -> None:
        self._said_s = float("-inf")
        mqtt = "5" if self._brokers.version(connection.address) == 5 else "3"  # noqa: PLR2004
        broker = str(connection.address)
        _log.info("broker connected", agent=self._client_id, broker=broker, mqtt=mqtt)

    def _report(self, error: RecServeError) -> None:
        """Say that we wait: once, and again each minute; a refusal is an error, not a wait."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._said_s < _SAY_AGAIN_S:
            return
        self._said_s = now_s
        say = _log.warning if isinstance(error, NotConnected) else _log.error
        say("waiting for the broker", agent=self._client_id, reason=str(error))
