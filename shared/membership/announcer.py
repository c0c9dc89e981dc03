"""Who is alive: every agent's retained status, and the announcer that keeps it true.

An agent announces itself after each connect and at every heartbeat; its last will says that it
is gone. What it then hears on its own topic is judged by ``shared.membership.incarnation``; what
others make of statuses is the business of ``shared.membership.roster``.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Literal

from shared.bus import Will
from shared.errors import BusError, Fenced, MalformedMessage
from shared.membership.incarnation import Incarnation, Move
from shared.membership.status import VERSION, Load, Status, decode_status, encode_status
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from shared.bus import Bus, Message
    from shared.membership.status import Reload
    from shared.tasks import Task

_log = get_logger()
_GOODBYE_S = 1.0


class Announcer:
    """Keeps this agent's status on the broker true, and hears it come back."""

    def __init__(
        self,
        topic: str,
        *,
        tasks: Collection[Task],
        model: str,
        labels: str = "",
        heartbeat_s: float,
        load: Callable[[], Load],
    ) -> None:
        self._topic = topic
        self._tasks = tuple(sorted(tasks))
        self._model = model
        self._labels = labels
        self._bundle = ""
        self._confidence_kind = ""
        self._reload: Reload | None = None
        self._heartbeat_s = heartbeat_s
        self._load = load
        # Wall time is a first guess at an order of lives; nothing reads it as a time.
        self._incarnation = Incarnation(
            epoch=int(time.time() * 1000), boot=secrets.token_hex(4), heartbeat_s=heartbeat_s
        )
        self._due = asyncio.Event()
        self._connected = False
        self._renew = False
        self._newer: Status | None = None

    @property
    def boot(self) -> str:
        """What tells this life of the agent from any other."""
        return self._incarnation.boot

    def serves(
        self, model: str, bundle: str, tasks: Collection[Task], confidence_kind: str = ""
    ) -> None:
        """Say at once that another model, with the same labels, answers from now on."""
        self._model, self._bundle, self._tasks = model, bundle, tuple(sorted(tasks))
        self._confidence_kind = confidence_kind
        self._due.set()

    def tell(self, reload: Reload) -> None:
        """Say at once how far the exchange of the model is that we were asked for."""
        self._reload = reload
        self._due.set()

    def will(self) -> Will:
        """Return what the broker is to say when we are lost."""
        return Will(self._topic, self._encode("offline"))

    async def run(self, bus: Bus) -> None:
        """Announce after each connect and at every heartbeat, until cancelled; then say goodbye.

        A connection on which our announcements do not come back is dropped for a new one. Raises
        ``Fenced``, without a goodbye, once a newer process announces itself under our name: the
        application has to end then, with that error and no further word on the bus.
        """
        with contextlib.suppress(BusError):  # it is renewed with the connection
            await bus.subscribe(self._topic, lambda message: self._hear(bus, message))
        bus.watch(self._note)
        try:
            await self._keep_true(bus)
        finally:
            if self._newer is None:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._publish(bus, "offline"), _GOODBYE_S)

    async def _keep_true(self, bus: Bus) -> None:
        while self._newer is None:
            self._due.clear()
            if self._incarnation.half_open(time.monotonic()):
                _log.warning("deaf connection", topic=self._topic, advice="connecting anew")
                self._incarnation.connected()
                bus.reconnect("our own status did not come back")
            elif self._renew:
                self._renew = False
                bus.reconnect("a later epoch needs a will of its own", will=self.will())
            elif self._connected:
                await self._announce(bus)
            await self._next_beat()
        raise Fenced(
            f"another process runs as agent {self._topic.rpartition('/')[2]!r} and is newer (its "
            f"epoch is {self._newer.epoch}, ours {self._incarnation.epoch}); this one stops: give "
            "each a name of its own"
        )

    async def _next_beat(self) -> None:
        """Wait for a heartbeat, or for a reason to be early."""
        beat = asyncio.get_running_loop().call_later(self._heartbeat_s, self._due.set)
        try:
            await self._due.wait()
        finally:
            beat.cancel()

    async def _announce(self, bus: Bus) -> None:
        """Announce, and wait for the broker no longer than until the next heartbeat."""
        self._incarnation.announced(time.monotonic())
        # Not wait_for, which on Python 3.11 may take our own cancellation for its end.
        publishing = asyncio.ensure_future(self._publish(bus, "online"))
        try:
            await asyncio.wait({publishing}, timeout=self._heartbeat_s)
        finally:
            publishing.cancel()

    async def _publish(self, bus: Bus, state: Literal["online", "offline"]) -> None:
        try:
            await bus.publish(self._topic, self._encode(state), retain=True)
        except BusError as error:
            _log.debug("status not published", topic=self._topic, reason=str(error))

    def _note(self, connected: bool) -> None:
        self._connected = connected
        if connected:
            self._incarnation.connected()
            self._due.set()

    def _hear(self, bus: Bus, message: Message) -> None:
        """Take in what stands on our own topic; a broker may bring us others', too."""
        bus.acknowledge(message)
        if message.topic != self._topic or not message.payload:
            return
        try:
            status = decode_status(message.payload)
        except MalformedMessage as error:
            _log.debug("status refused", topic=message.topic, reason=str(error))
            return
        clock_ms = int(time.time() * 1000)
        move = self._incarnation.hear(status, live=not message.retained, clock_ms=clock_ms)
        if move is Move.FENCED:
            self._newer = status
        elif move is Move.RENEW:
            self._renew = True
        if move is not Move.NOTHING:
            self._due.set()

    def _encode(self, state: Literal["online", "offline"]) -> bytes:
        epoch, boot = self._incarnation.epoch, self._incarnation.boot
        if state == "offline":
            return encode_status(Status("offline", epoch, boot=boot, version=VERSION))
        return encode_status(
            Status(
                "online",
                epoch,
                self._tasks,
                self._model,
                self._load(),
                self._heartbeat_s,
                boot,
                self._labels,
                VERSION,
                self._bundle,
                self._reload,
                self._confidence_kind,
            )
        )
