"""Entries shared between the edges of a broker: offered once they are stable, verified by each.

An edge that is away misses what is offered meanwhile, and asks for itself. What is before the epoch
that holds for all, or of another version than answers above now, is not taken.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from edge_agent.memory.offers import decode_offer
from shared.errors import BusError, MalformedMessage
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

    from edge_agent.memory.offers import EntryOffer
    from edge_agent.memory.worker import MemoryWorker
    from shared.bus import Bus, Message
    from shared.errors import Refused
    from shared.tasks import Task
    from shared.wire.topics import Topics

_log = get_logger()
_IN_HAND: Final = 64


class MemorySharing:
    """Offers entries of one memory, and takes in those of others; ``versions`` answer above."""

    def __init__(self, worker: MemoryWorker, versions: Callable[[Task], Collection[str]]) -> None:
        self._worker = worker
        self._versions = versions
        self._bus: Bus | None = None
        self._in_hand: set[asyncio.Task[None]] = set()

    async def open(self, bus: Bus, topics: Topics, agent: str) -> None:
        """Hear the others from now on; a broker without the rights for it costs a line."""
        self._bus, self._own = bus, topics.memory_offers(agent)
        hear = partial(self._hear, bus)
        await bus.subscribe(topics.memory_offers("+"), hear, refused=_refused)

    async def close(self) -> None:
        """Finish what is in hand."""
        if self._in_hand:
            await asyncio.wait(self._in_hand)

    def offer(self, offer: bytes) -> None:
        """Offer an entry to the others; returns at once."""
        if self._bus is not None:
            self._begin(self._publish(self._bus, offer))

    def _hear(self, bus: Bus, message: Message) -> None:
        bus.acknowledge(message)
        if message.topic == self._own:
            return
        try:
            offer = decode_offer(message.payload)
        except MalformedMessage as error:
            _log.warning("message refused", topic=message.topic, reason=str(error))
            return
        self._begin(self._take(offer))

    def _begin(self, doing: Coroutine[None, None, None]) -> None:
        if len(self._in_hand) >= _IN_HAND:
            doing.close()
            _log.warning("entry neither offered nor taken: too many are in hand")
            return
        task = asyncio.ensure_future(doing)
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _publish(self, bus: Bus, offer: bytes) -> None:
        try:
            await bus.publish(self._own, offer)
        except BusError as error:
            _log.warning("an entry was not offered", reason=str(error))

    async def _take(self, offer: EntryOffer) -> None:
        versions = self._versions(offer.task)
        try:
            outcome = await self._worker.do(self._worker.take_offer, offer, versions)
        except Exception:  # noqa: BLE001 - the edge serves on
            _log.exception("an offered entry broke the memory")
            return
        _log.debug("an entry was offered", task=offer.task, outcome=outcome)


def _refused(error: Refused) -> None:
    _log.warning("no entries are shared over the broker", reason=str(error))
