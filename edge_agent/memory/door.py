"""A running memory's door on the wire: what people ask of it, and epochs that hold for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.memory.requests import ForgetEntries, MemoryAnswer, decode_ask, decode_epoch
from shared.errors import BusError, MalformedMessage, RecServeError
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from edge_agent.memory.desk import MemoryDesk
    from edge_agent.memory.requests import MemoryAsk
    from edge_agent.memory.store import MemoryStore
    from edge_agent.memory.worker import MemoryWorker
    from shared.bus import Bus, Message
    from shared.errors import Refused
    from shared.wire.topics import Topics

_log = get_logger()
_IN_HAND: Final = 16


class MemoryDoor:
    """Hears requests and epochs, has them done in the memory's thread, and answers."""

    def __init__(self, worker: MemoryWorker, desk: MemoryDesk, store: MemoryStore) -> None:
        self._worker = worker
        self._desk = desk
        self._store = store
        self._in_hand: set[asyncio.Task[None]] = set()

    async def open(self, bus: Bus, topics: Topics, agent: str) -> None:
        """Listen from now on; a broker without the rights for it costs a line in the log."""
        self._bus, self._answers = bus, topics.memory_answers(agent)
        await bus.subscribe(topics.memory_ask(agent), self._hear_ask, refused=_refused)
        await bus.subscribe(topics.memory_epoch, self._hear_epoch, refused=_refused)

    async def close(self) -> None:
        """Finish what is in hand."""
        if self._in_hand:
            await asyncio.wait(self._in_hand)

    def _hear_ask(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            ask = decode_ask(message.payload)
        except MalformedMessage as error:
            _log.warning("message refused", topic=message.topic, reason=str(error))
            return
        if len(self._in_hand) < _IN_HAND:
            self._begin(self._answer(ask))
        elif len(self._in_hand) >= 2 * _IN_HAND:
            _log.warning("message dropped: too many are in hand", topic=message.topic)
        else:
            busy = f"the memory has {_IN_HAND} requests in hand; ask again in a moment"
            self._begin(self._say(MemoryAnswer(ask.id, error=busy)))

    def _hear_epoch(self, message: Message) -> None:
        self._bus.acknowledge(message)
        if not message.payload:
            return  # it was cleared: what is forgotten stays forgotten
        try:
            epoch = decode_epoch(message.payload)
        except MalformedMessage as error:
            _log.warning("message refused", topic=message.topic, reason=str(error))
            return
        self._begin(self._forget_before(epoch.not_before_s))  # however many requests are in hand

    def _begin(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(doing)
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _answer(self, ask: MemoryAsk) -> None:
        try:
            answer = await self._worker.do(self._desk.do, ask.request)
            if isinstance(ask.request, ForgetEntries):
                await self._store.settle()
            said = MemoryAnswer(ask.id, answer)
        except RecServeError as error:
            said = MemoryAnswer(ask.id, error=str(error))
        except Exception as error:  # noqa: BLE001 - whoever asked is told, the agent serves on
            _log.exception("a request broke the memory")
            said = MemoryAnswer(ask.id, error=f"{type(error).__name__}: {error}")
        await self._say(said)

    async def _say(self, said: MemoryAnswer) -> None:
        try:
            await self._bus.publish(self._answers, msgspec.json.encode(said))
        except BusError as error:
            _log.warning("a memory's answer was not sent", reason=str(error))

    async def _forget_before(self, not_before_s: float) -> None:
        try:
            forgotten = await self._worker.do(self._worker.memory.begin_epoch, not_before_s)
            await self._store.settle()
        except Exception:  # noqa: BLE001 - what is forgotten does not answer, written down or not
            _log.exception("an epoch was not written down")
            return
        if forgotten:
            _log.info("memory forgot what was before", not_before_s=not_before_s, entries=forgotten)


def _refused(error: Refused) -> None:
    _log.warning("the memory cannot be asked over the broker", reason=str(error))
