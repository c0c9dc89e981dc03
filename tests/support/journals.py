"""Journals of notes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from shared.errors import StoreFull
from shared.storage.journal import Journal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path


SCHEMA = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
MEGABYTE = 1 << 20


def opened(path: Path | None, *, schema: str = SCHEMA, limit_bytes: int = MEGABYTE) -> Journal:
    return Journal.open(path, schema, synchronous="FULL", limit_bytes=limit_bytes)


def insert(key: int, text: str = "a note") -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO notes VALUES (?, ?)", (key, text))
        return key

    return work


def delete(key: int) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("DELETE FROM notes WHERE id = ?", (key,))


def keys(connection: sqlite3.Connection) -> list[int]:
    return [key for (key,) in connection.execute("SELECT id FROM notes ORDER BY id")]


async def written_until_full(journal: Journal, numbers: range) -> int:
    """Insert notes until there is no room, and return the key of the one that was refused."""
    key = numbers.start
    with contextlib.suppress(StoreFull):
        for key in numbers:
            await journal.write(insert(key, "x" * 400))
    assert key < numbers[-1], "there was room for all of them"
    return key


def modes(folder: Path) -> dict[str, int]:
    """Return the modes of the files in a folder."""
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
