"""A wire that counts: every byte that came back, and the byte at which something happens."""

from __future__ import annotations

import asyncio

from experiments.testbed.counted_wire import CountedWire
from experiments.testbed.processes import free_port


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each line by a hundred thousand times as many bytes."""
    while line := await reader.readline():
        writer.write(line * 100_000)
        await writer.drain()
    writer.close()


async def test_what_comes_back_counts_and_what_is_sent_up_does_not() -> None:
    server = await asyncio.start_server(_shout, "127.0.0.1", 0)
    async with CountedWire.open() as wire:
        port = await wire.to(server.sockets[0].getsockname()[1])
        for time in (1, 2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"123\n")
            assert await reader.readexactly(400_000) == b"123\n" * 100_000
            assert wire.sent_bytes == time * 400_000
            writer.close()
    server.close()


async def test_what_is_to_happen_at_a_byte_happens_before_many_more_are_sent() -> None:
    server = await asyncio.start_server(_shout, "127.0.0.1", 0)
    happened: list[int] = []
    async with CountedWire.open() as wire:
        port = await wire.to(server.sockets[0].getsockname()[1])
        mark = wire.at(100_000, lambda: happened.append(wire.sent_bytes))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"123\n")
        await reader.readexactly(400_000)
        assert happened == [await mark]
        assert 100_000 <= happened[0] < 100_000 + (1 << 16)
        writer.close()
    server.close()


async def test_where_nobody_listens_the_wire_hangs_up() -> None:
    async with CountedWire.open() as wire:
        port = await wire.to(free_port())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        assert wire.sent_bytes == 0
        writer.close()
