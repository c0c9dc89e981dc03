"""A TCP wire that counts what goes over it, and has something happen at a byte that is chosen."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_BLOCK_BYTES: Final = 1 << 16
_HOST: Final = "127.0.0.1"


class CountedWire:
    """Ports on loopback that lead to other ones, with one count of what goes over them one way.

    A byte counts when it is handed to the socket of whoever it is for, read there or not.
    """

    def __init__(self) -> None:
        self.sent_bytes = 0
        self._servers: list[asyncio.Server] = []
        self._passing: set[asyncio.Task[None]] = set()
        self._marks: list[tuple[int, Callable[[], None], asyncio.Future[int]]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> AsyncIterator[CountedWire]:
        """Have a wire for as long as the context lasts."""
        wire = cls()
        try:
            yield wire
        finally:
            for server in wire._servers:
                server.close()
            for task in [*wire._passing]:
                task.cancel()
            await asyncio.gather(*wire._passing, return_exceptions=True)

    async def to(self, port: int, *, up: bool = False) -> int:
        """Return a port that leads to another one, where nobody has to listen yet.

        What comes back by it counts; with ``up`` what goes there does.
        """

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._pass(reader, writer, port, up=up))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

        server = await asyncio.start_server(connected, _HOST, 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def at(self, sent_bytes: int, act: Callable[[], None]) -> asyncio.Future[int]:
        """Have ``act`` called as soon as so many bytes were sent, before another one is.

        The future then has how many they were: a block of them goes at once.
        """
        reached: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._marks.append((sent_bytes, act, reached))
        return reached

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, *, up: bool
    ) -> None:
        with contextlib.suppress(OSError):
            try:
                far_reader, far_writer = await asyncio.open_connection(_HOST, port)
            except OSError:
                writer.close()
                raise
            counts = (self._count, _ignore) if up else (_ignore, self._count)
            ways = [
                asyncio.create_task(_pump(reader, far_writer, counts[0])),
                asyncio.create_task(_pump(far_reader, writer, counts[1])),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                writer.close()
                far_writer.close()

    def _count(self, size: int) -> None:
        self.sent_bytes += size
        for mark in [mark for mark in self._marks if self.sent_bytes >= mark[0]]:
            self._marks.remove(mark)
            _, act, reached = mark
            act()
            if not reached.done():
                reached.set_result(self.sent_bytes)


def _ignore(size: int) -> None:
    del size


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]
) -> None:
    while block := await reader.read(_BLOCK_BYTES):
        writer.write(block)
        count(len(block))
        await writer.drain()
