"""Files over MQTT, where only the broker can be reached: asked for piece by piece by the receiver.

A piece is small, goes at QoS 0 and is asked for again when it does not come: the broker never has
to keep anything of a file. The window opens by one with each clean round and halves with each loss.
A frame is the number that the piece was asked for by, in eight bytes, and the piece.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from typing import TYPE_CHECKING, Final

from shared.errors import BusError, MalformedMessage, NotConnected, StoreError
from shared.nodes.sources import BROKER, SourceFailed
from shared.telemetry.log import get_logger
from shared.wire.control import PieceWanted, decode_word, encode_word

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.bus import Bus, Message
    from shared.nodes.store import BundleStore
    from shared.wire.topics import Topics

_log = get_logger()
PIECE_BYTES: Final = 32 * 1024
_NUMBER_BYTES: Final = 8
_FIRST_WINDOW: Final = 4
_MOST: Final = 32
_PATIENCE_S: Final = 1.0
_CONNECT_S: Final = 5.0
_ROUNDS_WITHOUT: Final = 5


class PieceSource:
    """Asks the centre for files over a bus."""

    name = "mqtt"
    rank = BROKER

    def __init__(self, open_bus: Callable[[], Awaitable[Bus]], topics: Topics, agent: str) -> None:
        """Use the bus that ``open_bus`` returns, which is called when it is needed first."""
        self._open_bus = open_bus
        self._bus: Bus | None = None
        self._ask_topic = topics.pieces_asked(agent)
        self._data_topic = topics.pieces(agent)
        self._numbers = itertools.count(int.from_bytes(os.urandom(4), "big"))
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._window = float(_FIRST_WINDOW)

    async def fetch(self, sha256: str, offset: int, length: int) -> bytes:
        """Return a range, put together from its pieces."""
        bus = self._bus
        if bus is None:
            bus = await self._open_bus()
            await bus.wait_connected(_CONNECT_S)
            await bus.subscribe(self._data_topic, self._hear)
            self._bus = bus
        ends = offset + length
        missing = list(range(offset, ends, PIECE_BYTES))
        got: dict[int, bytes] = {}
        without = 0
        while missing:
            asked = missing[: int(self._window)]
            found = await self._round(bus, sha256, asked, ends)
            got |= found
            missing = [at for at in missing if at not in got]
            clean = len(found) == len(asked)
            self._window = min(self._window + 1, _MOST) if clean else max(self._window / 2, 1.0)
            without = 0 if found else without + 1
            if without >= _ROUNDS_WITHOUT:
                raise SourceFailed("mqtt: the centre does not answer")
        return b"".join(got[at] for at in sorted(got))

    def close(self) -> None:
        """Keep the bus for the next bundle; its owner closes it."""

    async def _round(self, bus: Bus, sha256: str, asked: list[int], ends: int) -> dict[int, bytes]:
        """Ask for pieces at once; return those that came in time."""
        futures: dict[int, asyncio.Future[bytes]] = {}
        numbers = []
        for at in asked:
            number = next(self._numbers)
            length = min(PIECE_BYTES, ends - at)
            wanted = PieceWanted(number=number, sha256=sha256, offset=at, length=length)
            futures[at] = asyncio.get_running_loop().create_future()
            self._waiting[number] = futures[at]
            numbers.append(number)
            bus.send_soon(self._ask_topic, encode_word(wanted))
        try:
            await asyncio.wait(futures.values(), timeout=_PATIENCE_S)
        finally:
            for number in numbers:
                self._waiting.pop(number, None)
        return {
            at: future.result()
            for at, future in futures.items()
            if future.done() and len(future.result()) == min(PIECE_BYTES, ends - at)
        }

    def _hear(self, message: Message) -> None:
        if self._bus is not None:
            self._bus.acknowledge(message)
        if message.topic != self._data_topic or len(message.payload) < _NUMBER_BYTES:
            return
        number = int.from_bytes(message.payload[:_NUMBER_BYTES], "big")
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(message.payload[_NUMBER_BYTES:])


class PieceServer:
    """Answers whoever asks for pieces of what a store has."""

    def __init__(self, bus: Bus, topics: Topics, store: BundleStore) -> None:
        self.sent_bytes = 0
        self._bus = bus
        self._topics = topics
        self._store = store

    async def start(self) -> None:
        """Begin to answer."""
        with contextlib.suppress(NotConnected):
            await self._bus.subscribe(self._topics.pieces_asked("+"), self._hear)

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            agent = self._topics.read_pieces_asked(message.topic)
            wanted = decode_word(PieceWanted, message.payload)
            piece = self._read(wanted)
        except (MalformedMessage, StoreError, OSError) as error:
            _log.debug("piece not sent", topic=message.topic, reason=str(error))
            return
        with contextlib.suppress(BusError):
            frame = wanted.number.to_bytes(_NUMBER_BYTES, "big") + piece
            self._bus.send_soon(self._topics.pieces(agent), frame)
            self.sent_bytes += len(piece)

    def _read(self, wanted: PieceWanted) -> bytes:
        with self._store.blob(wanted.sha256).open("rb") as file:
            return os.pread(file.fileno(), min(wanted.length, PIECE_BYTES), wanted.offset)
