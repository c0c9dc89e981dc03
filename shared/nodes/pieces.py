"""Files over MQTT: asked for piece by piece by whoever receives them, sent once for all who ask.

Every file has a topic of its own, and whoever fetches it hears each piece that is sent there,
whoever asked for it. What somebody else has just asked for is not sent again, so however many
fetch a file at once, it is sent about once. A receiver goes on where the last piece that it heard
stands in the file, which brings those who began at different times together.

A piece is small, goes at QoS 0 and is asked for again when it does not come: the broker never has
to keep anything of a file. The window opens by one with each clean round and halves with each loss.
A frame is the place of the piece in the file, in eight bytes, and the piece, which begins at a
multiple of 32 KiB and is as long, or ends with the file, whatever length was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.errors import BusError, MalformedMessage, NotConnected, StoreError
from shared.nodes.sources import BROKER, SHARED, SourceFailed
from shared.telemetry.log import get_logger
from shared.wire.control import PieceWanted, decode_word, encode_word

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.bus import Bus, Message, NotedRefusal
    from shared.nodes.store import BundleStore
    from shared.wire.topics import Topics

_log = get_logger()
PIECE_BYTES: Final = 32 * 1024
_PLACE_BYTES: Final = 8
_FIRST_WINDOW: Final = 4
_MOST: Final = 32
_PATIENCE_S: Final = 1.0
_CONNECT_S: Final = 5.0
_GATHER_S: Final = 1.0
"""Those who begin within as long of each other begin together."""
_ROUNDS_WITHOUT: Final = 5
_KEPT: Final = 512
"""Pieces that others asked for and nobody here has taken yet: 16 MiB of them."""
_SENT_S: Final = 0.5
"""A piece sent so lately is on its way to whoever asks for it; shorter than their patience."""


class PieceChannel(NamedTuple):
    """Where pieces of files are ``asked`` for, of whom, and where those of a file are ``sent``."""

    asked: str
    sent: Callable[[str], str]
    sender: str = "the centre"


def center_channel(topics: Topics, agent: str) -> PieceChannel:
    """Return where an agent (``+`` for all) and the centre meet."""
    return PieceChannel(topics.pieces_asked(agent), topics.pieces)


def pair_channel(topics: Topics, asker: str, sender: str) -> PieceChannel:
    """Return where one agent asks another one, and nobody else hears."""

    def sent(sha256: str) -> str:
        return topics.night_pieces(sender, asker, sha256)

    return PieceChannel(topics.night(asker, sender, "ask"), sent, sender)


class PieceSource:
    """Asks whoever has files for them over a bus, one file at a time."""

    name = "mqtt"

    def __init__(self, open_bus: Callable[[], Awaitable[Bus]], channel: PieceChannel) -> None:
        """Use the bus that ``open_bus`` returns, which is called when it is needed first."""
        self.rank = BROKER
        self._open_bus = open_bus
        self._bus: Bus | None = None
        self._channel = channel
        self._file = ""
        self._heard: dict[int, bytes] = {}
        self._last_heard = 0
        self._came = asyncio.Event()
        self._window = float(_FIRST_WINDOW)

    def place(self, sha256: str) -> int:
        """Return where the last piece of a file that was heard stands in it."""
        return self._last_heard if sha256 == self._file else 0

    async def fetch(self, sha256: str, offset: int, length: int) -> bytes:
        """Return a range, put together from its pieces; it begins where one of them does."""
        bus = await self._listening(sha256)
        ends = offset + length
        wanted = {at: min(PIECE_BYTES, ends - at) for at in range(offset, ends, PIECE_BYTES)}
        got: dict[int, bytes] = {}
        without = 0
        while self._take(wanted, got):
            asked = {at: size for at, size in wanted.items() if at not in got}
            asked = dict([*asked.items()][: int(self._window)])
            before = len(got)
            await self._round(bus, asked, got)
            clean = asked.keys() <= got.keys()
            self._window = min(self._window + 1, _MOST) if clean else max(self._window / 2, 1.0)
            without = 0 if len(got) > before else without + 1
            if without >= _ROUNDS_WITHOUT:
                raise SourceFailed(f"mqtt: {self._channel.sender} does not answer")
        return b"".join(got[at] for at in wanted)

    def close(self) -> None:
        """Hear no more of the file; the bus is kept for the next one, and its owner closes it."""
        self._stop_listening()

    async def _listening(self, sha256: str) -> Bus:
        """Return the bus once this file, and no other one, is heard there."""
        if self._bus is None:
            bus = await self._open_bus()
            await bus.wait_connected(_CONNECT_S)
            self._bus = bus
        if self._file != sha256:
            first = not self._file
            self._stop_listening()
            self._file = sha256
            try:
                await self._bus.subscribe(self._channel.sent(sha256), self._hear)
            except BaseException:  # cancelled, too: what the bus goes on to renew, it is to forget
                self._stop_listening()
                raise
            if first and self.rank == SHARED:
                await asyncio.sleep(_GATHER_S)
        return self._bus

    async def _round(self, bus: Bus, asked: dict[int, int], got: dict[int, bytes]) -> None:
        """Ask for pieces at once, and take those that come in time."""
        for at, size in asked.items():
            wanted = PieceWanted(sha256=self._file, offset=at, length=size)
            bus.send_soon(self._channel.asked, encode_word(wanted))
        give_up_s = time.monotonic() + _PATIENCE_S
        while self._take(asked, got) and (left_s := give_up_s - time.monotonic()) > 0:
            self._came.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._came.wait(), left_s)

    def _take(self, wanted: dict[int, int], got: dict[int, bytes]) -> bool:
        """Take what was heard of these pieces; say whether any is still to come."""
        for at, size in wanted.items():
            if at not in got and len(piece := self._heard.pop(at, b"")) >= size:
                got[at] = piece[:size]
        return not wanted.keys() <= got.keys()

    def _stop_listening(self) -> None:
        if self._bus is not None and self._file:
            self._bus.unsubscribe(self._channel.sent(self._file), self._hear)
        self._file, self._last_heard = "", 0
        self._heard.clear()

    def _hear(self, message: Message) -> None:
        if self._bus is not None:
            self._bus.acknowledge(message)
        if message.topic != self._channel.sent(self._file) or len(message.payload) < _PLACE_BYTES:
            return
        place = int.from_bytes(message.payload[:_PLACE_BYTES], "big")
        self._heard[place] = message.payload[_PLACE_BYTES:]
        self._last_heard = place
        while len(self._heard) > _KEPT:
            del self._heard[next(iter(self._heard))]
        self._came.set()


class PieceServer:
    """Sends what is asked for of what a store has, once for all who ask at the same time."""

    def __init__(self, bus: Bus, channel: PieceChannel, store: BundleStore) -> None:
        self.sent_bytes = 0
        self._bus = bus
        self._channel = channel
        self._store = store
        self._sent_s: dict[tuple[str, int], float] = {}

    async def start(self, refused: NotedRefusal | None = None) -> None:
        """Begin to answer; ``refused`` as the bus has it."""
        with contextlib.suppress(NotConnected):
            await self._bus.subscribe(self._channel.asked, self._hear, refused=refused)

    def stop(self) -> None:
        """Answer no more."""
        self._bus.unsubscribe(self._channel.asked, self._hear)

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            wanted = decode_word(PieceWanted, message.payload)
            if self._is_on_its_way(wanted):
                return
            piece = self._read(wanted)
        except (MalformedMessage, StoreError, OSError, OverflowError) as error:
            _log.debug("piece not sent", topic=message.topic, reason=str(error))
            return
        frame = wanted.offset.to_bytes(_PLACE_BYTES, "big") + piece
        if self._sent(self._channel.sent(wanted.sha256), frame):
            self._sent_s[wanted.sha256, wanted.offset] = time.monotonic()
            self.sent_bytes += len(piece)

    def _sent(self, topic: str, frame: bytes) -> bool:
        """Send a piece, and say whether the bus took it."""
        dropped = self._bus.hints_dropped
        with contextlib.suppress(BusError):
            self._bus.send_soon(topic, frame)
            return self._bus.hints_dropped == dropped
        return False

    def _is_on_its_way(self, wanted: PieceWanted) -> bool:
        """Say whether a piece was sent just now, and forget those that were sent before."""
        since_s = time.monotonic() - _SENT_S
        while self._sent_s and next(iter(self._sent_s.values())) < since_s:
            del self._sent_s[next(iter(self._sent_s))]
        return (wanted.sha256, wanted.offset) in self._sent_s

    def _read(self, wanted: PieceWanted) -> bytes:
        """Return a whole piece: all who fetch the file hear it, so none of them sets its length."""
        if wanted.offset % PIECE_BYTES:
            raise MalformedMessage(f"no piece begins at byte {wanted.offset}")
        with self._store.blob(wanted.sha256).open("rb") as file:
            piece = os.pread(file.fileno(), PIECE_BYTES, wanted.offset)
        if not piece:
            raise MalformedMessage(f"the file ends before byte {wanted.offset}")
        return piece
