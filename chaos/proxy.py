"""A link between one agent and its broker that can fail in every way a link can.

It knows MQTT packets, so that it can lose, repeat and reorder single messages. A message that it
loses is acknowledged to whoever sent it, as a broker does whose queue is full: no end can tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from chaos.frames import Frame, Packets

if TYPE_CHECKING:
    from collections.abc import Iterable

_PIECE_BYTES = 65_536
_HELD_S = 0.05


@dataclass
class LinkFaults:
    """What the link does to messages, each a share of them, and to everything.

    ``silent`` directions swallow every byte and keep the connection: *up* goes to the broker.
    Every packet is ``delay_s`` late.
    """

    lose: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    delay_s: float = 0.0
    silent: frozenset[Literal["up", "down"]] = field(default_factory=frozenset)


class Proxy:
    """Listens on a free port of loopback and carries connections to a broker."""

    def __init__(self, broker_port: int, seed: int) -> None:
        self.faults = LinkFaults()
        self.port = 0
        self._broker_port = broker_port
        self._draw = random.Random(seed)  # noqa: S311 - draws faults, guards nothing
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection as a pulled cable does once it is noticed."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        """Stop listening and break what is left."""
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer, ask = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, ask}
        self._writers |= ends
        up = asyncio.ensure_future(self._pump(reader, ask, writer, "up"))
        down = asyncio.ensure_future(self._pump(answer, writer, ask, "down"))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= ends
            for task in (up, down):
                task.cancel()
            for end in ends:
                end.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        way: Literal["up", "down"],
    ) -> None:
        """Carry packets one way until either end hangs up."""
        packets, held = Packets(), _Delayed(sink)
        with contextlib.suppress(OSError):
            while piece := await source.read(_PIECE_BYTES):
                if way in self.faults.silent:
                    continue
                for packet in packets.feed(piece):
                    self._pass(packet, held, back)
                await sink.drain()

    def _pass(self, packet: Frame, held: _Delayed, back: asyncio.StreamWriter) -> None:
        faults = self.faults
        drawn = self._draw.random() if packet.is_message else 1.0
        held.delay_s = faults.delay_s
        if drawn < faults.lose:
            back.write(packet.acknowledgement())
        elif drawn < faults.lose + faults.repeat:
            held.write([packet.raw, packet.again()])
        elif drawn < faults.lose + faults.repeat + faults.reorder:
            held.hold(packet.raw)
        else:
            held.write([packet.raw])


class _Delayed:
    """Writes packets, late if the link is slow; keeps one back until the next, or for a moment."""

    def __init__(self, sink: asyncio.StreamWriter) -> None:
        self.delay_s = 0.0
        self._sink = sink
        self._waiting: list[bytes] = []

    def write(self, packets: Iterable[bytes]) -> None:
        self._put(b"".join(packets))
        self.release()

    def hold(self, packet: bytes) -> None:
        self._waiting.append(packet)
        asyncio.get_running_loop().call_later(_HELD_S, self.release)

    def release(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._put(b"".join(waiting))

    def _put(self, packets: bytes) -> None:
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self._write, packets)
        else:
            self._write(packets)

    def _write(self, packets: bytes) -> None:
        if not self._sink.is_closing():
            self._sink.write(packets)
