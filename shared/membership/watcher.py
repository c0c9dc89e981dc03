"""Hears the statuses that agents publish, and hands them on decoded, for as long as it is to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.errors import MalformedMessage
from shared.membership.status import decode_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus, Message
    from shared.membership.status import Status
    from shared.telemetry.rejections import RejectionLog
    from shared.wire.topics import StatusAddress, Topics


class HeardStatus(NamedTuple):
    """What an agent says of itself, and whether the broker had kept that for us.

    No status is that of an agent that was removed for good.
    """

    address: StatusAddress
    status: Status | None
    kept: bool


class StatusWatcher:
    """Subscribes to statuses and calls ``heard`` with each.

    A malformed one is told to ``rejections``, where they are given, and never handed on.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        heard: Callable[[HeardStatus], None],
        rejections: RejectionLog | None = None,
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._heard = heard
        self._rejections = rejections

    async def watch(self, tier: str = "+") -> None:
        """Listen to the agents of a tier; of all tiers, if none is named. Raises ``BusError``."""
        await self._bus.subscribe(self._topics.status(tier, "+"), self._hear)

    def ignore(self, tier: str = "+") -> None:
        """Listen no more to the agents of a tier."""
        self._bus.unsubscribe(self._topics.status(tier, "+"), self._hear)

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            address = self._topics.read_status(message.topic)
            status = decode_status(message.payload) if message.payload else None
        except MalformedMessage as error:
            if self._rejections is not None:
                self._rejections.record(message.topic, error)
            return
        self._heard(HeardStatus(address, status, message.retained))
