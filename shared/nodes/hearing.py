"""Hears what the centre wants of an agent, and the manifests of what it could want."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from shared.errors import MalformedMessage, RecServeError
from shared.nodes.wanted import is_stale
from shared.telemetry.log import get_logger
from shared.wire.control import Desired, decode_word
from shared.wire.manifest import decode_manifest

if TYPE_CHECKING:
    from shared.bus import Bus, Message
    from shared.wire.manifest import SignedManifest
    from shared.wire.topics import Topics

_log = get_logger()


class WishListener:
    """The newest wish, and manifests that nobody has checked yet, by digest."""

    def __init__(self, bus: Bus, topics: Topics, agent: str) -> None:
        self.desired: Desired | None = None
        self.manifests: dict[str, SignedManifest] = {}
        self.changed = asyncio.Event()
        """Set when there is something to do anew; whoever does it clears it."""
        self._bus = bus
        self._topics = topics
        self._desired_topic = topics.control(agent, "desired")

    async def start(self) -> None:
        """Begin to listen."""
        with contextlib.suppress(RecServeError):
            await self._bus.subscribe(self._desired_topic, self._hear_desired, refused=_note)
            await self._bus.subscribe(
                self._topics.manifest("+"), self._hear_manifest, refused=_note
            )

    async def newer_than(self, desired: Desired) -> None:
        """Return when a wish has come that replaces this one."""
        while self.desired == desired:
            await self.changed.wait()
            if self.desired == desired:  # a manifest came: whoever waits for it looks again
                self.changed.clear()

    def _hear_desired(self, message: Message) -> None:
        self._bus.acknowledge(message)
        if message.topic != self._desired_topic or not message.payload:
            return
        try:
            desired = decode_word(Desired, message.payload)
        except MalformedMessage as error:
            _log.warning("wish of the centre refused", reason=str(error))
            return
        if not is_stale(desired, self.desired) and desired != self.desired:
            self.desired = desired
            self.changed.set()

    def _hear_manifest(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            digest = self._topics.read_manifest(message.topic)
            manifest = decode_manifest(message.payload)
        except MalformedMessage as error:
            if message.payload:
                _log.warning("manifest refused", topic=message.topic, reason=str(error))
            return
        if self.manifests.get(digest) != manifest:
            self.manifests[digest] = manifest
            if self.desired is not None and self.desired.active == digest:
                self.changed.set()


def _note(error: RecServeError) -> None:
    _log.warning("no rights to hear what the centre wants", reason=str(error))
