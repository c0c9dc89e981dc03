"""Keeps what an agent says of itself to the centre true: a retained report, and telemetry.

Reports go out after each connect and when something changed. Telemetry goes out as hints, and only
while a centre says that it is there: a fleet without one pays nothing for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from shared.errors import BusError, MalformedMessage
from shared.telemetry.log import get_logger
from shared.wire.control import CenterWord, decode_word, encode_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus, Message
    from shared.errors import Refused
    from shared.wire.control import Explained, NodeReport, NodeState, Telemetry
    from shared.wire.topics import Topics

_log = get_logger()
_AGAIN_S: Final = 300.0
"""After this long a report goes out again: what is free on the disk changes by itself."""


class NodeReporter:
    """Speaks to the centre for one agent."""

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        agent: str,
        *,
        report: Callable[[], NodeReport],
        telemetry: Callable[[], Telemetry],
        explained: Callable[[int], Explained | None],
    ) -> None:
        self.center = CenterWord(state="offline")
        """What the centre last said of itself."""
        self._bus = bus
        self._topics = topics
        self._agent = agent
        self._report = report
        self._telemetry = telemetry
        self._explained = explained
        self._state: NodeState | None = None
        self._due = asyncio.Event()
        self._connected = False
        self._sent: tuple[bytes, bytes] = (b"", b"")
        self._again_s = 0.0

    def changed(self) -> None:
        """Have what changed told soon."""
        self._due.set()

    def tell(self, state: NodeState) -> None:
        """Say how far the agent is with what is wanted of it."""
        self._state = state
        self._due.set()

    async def run(self) -> None:
        """Keep everything true until cancelled."""
        with contextlib.suppress(BusError):
            await self._bus.subscribe(self._topics.center, self._hear, refused=self._note_refusal)
        self._bus.watch(self._note)
        loop = asyncio.get_running_loop()
        while True:
            self._due.clear()
            if self._connected:
                if loop.time() >= self._again_s:
                    self._sent = (b"", b"")
                    self._again_s = loop.time() + _AGAIN_S
                await self._say_what_changed()
                if self.center.state == "online":
                    self._hint()
            waits_s = self.center.telemetry_s if self.center.state == "online" else _AGAIN_S
            beat = loop.call_later(waits_s, self._due.set)
            try:
                await self._due.wait()
            finally:
                beat.cancel()

    async def _say_what_changed(self) -> None:
        report = encode_word(self._report())
        state = encode_word(self._state) if self._state is not None else b""
        before = self._sent
        with contextlib.suppress(BusError):  # refused or cut off: the next connection tries again
            if report != before[0]:
                topic = self._topics.control(self._agent, "report")
                await self._bus.publish(topic, report, retain=True)
            if state and state != before[1]:
                topic = self._topics.control(self._agent, "state")
                await self._bus.publish(topic, state, retain=True)
            self._sent = (report, state)

    def _hint(self) -> None:
        with contextlib.suppress(BusError):
            topic = self._topics.control(self._agent, "telemetry")
            self._bus.send_soon(topic, encode_word(self._telemetry()))
            explained = self._explained(self.center.explain)
            if explained is not None:
                topic = self._topics.control(self._agent, "explained")
                self._bus.send_soon(topic, encode_word(explained))

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        if message.topic != self._topics.center or not message.payload:
            return
        try:
            word = decode_word(CenterWord, message.payload)
        except MalformedMessage as error:
            _log.debug("word of the centre refused", reason=str(error))
            return
        stale = word.state == "offline" and word.epoch < self.center.epoch
        if not stale:
            self.center = word
            self._due.set()

    def _note(self, connected: bool) -> None:
        self._connected = connected
        if connected:
            self._sent, self._again_s = (b"", b""), 0.0
            self._due.set()

    def _note_refusal(self, error: Refused) -> None:
        _log.info(
            "no rights on the control topics", reason=str(error), advice="provision the site again"
        )
