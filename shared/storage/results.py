"""What an upper agent remembers: results by origin and prompt id, and attempts not yet finished.

Answers come from memory; the file behind it brings them back after a crash. It is synced by
checkpoints only (NORMAL): a power cut may cost the last of them, and then a repeated prompt is run
again. A disk that fails, is full or stands still costs no more than that either: the agent serves
on from memory and says so once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from shared.errors import StoreError
from shared.storage import dead_letters
from shared.storage.journal import Journal
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from pathlib import Path

Key = tuple[str, UUID]
"""Origin and prompt id."""

ENTRY_BYTES: Final = 512
"""What an entry takes in memory besides its payload, on a 64-bit Python, generously."""
SCHEMA: Final = (
    "CREATE TABLE results (key BLOB PRIMARY KEY CHECK (typeof(key) = 'blob'),"
    " payload BLOB NOT NULL CHECK (typeof(payload) = 'blob'));"
    "CREATE TABLE attempts (key BLOB PRIMARY KEY CHECK (typeof(key) = 'blob'),"
    " count INTEGER NOT NULL CHECK (typeof(count) = 'integer'));" + dead_letters.TABLE
)
_LIMIT_ATTEMPTS: Final = 10_000
_COMMIT_S: Final = 1.0
"""How long a prompt waits for a commit, at most."""
_FILE_PER_MEMORY: Final = 2
"""Pages of the file are filled by half at worst."""

_log = get_logger()


class _Kept(NamedTuple):
    payload: bytes
    kept_s: float


def results_file(agent: str) -> str:
    """Return the name of an agent's file in its state folder."""
    return f"{agent}.results.sqlite"


class ResultStore:
    """Results within ``limit_bytes`` of memory, none older than ``keep_s``; attempts by key."""

    def __init__(self, journal: Journal, *, limit_bytes: int, keep_s: float, now_s: float) -> None:
        self.journal = journal
        self._limit_bytes = limit_bytes
        self._keep_s = keep_s
        self._bytes = 0
        self._results: OrderedDict[Key, _Kept] = OrderedDict()
        self._attempts: OrderedDict[Key, int] = OrderedDict()
        self._failing = False
        self._load(now_s)

    @classmethod
    def open(
        cls,
        folder: Path | None,
        agent: str,
        *,
        limit_bytes: int,
        keep_s: float,
        now_s: float | None = None,
    ) -> ResultStore:
        """Open the store of ``agent`` in a folder, or one in memory for None.

        No clock outlives the process: what an earlier run kept counts as kept at ``now_s``, by
        default now on the monotonic clock. Raises ``SettingsError`` when the folder is missing or
        cannot be written.
        """
        file_bytes = _FILE_PER_MEMORY * (limit_bytes + dead_letters.LIMIT_BYTES)
        path = folder / results_file(agent) if folder is not None else None
        journal = Journal.open(path, SCHEMA, synchronous="NORMAL", limit_bytes=file_bytes)
        now_s = time.monotonic() if now_s is None else now_s
        return cls(journal, limit_bytes=limit_bytes, keep_s=keep_s, now_s=now_s)

    def __len__(self) -> int:
        """Return how many results are remembered."""
        return len(self._results)

    def find(self, key: Key) -> bytes | None:
        """Return the payload that was kept for a prompt, if it is remembered."""
        kept = self._results.get(key)
        return kept.payload if kept is not None else None

    async def attempt(self, key: Key) -> int:
        """Count an attempt at a prompt and return its number, from 1, once it is committed."""
        count = self._attempts.pop(key, 0) + 1
        self._attempts[key] = count
        dropped = []
        while len(self._attempts) > _LIMIT_ATTEMPTS:
            dropped.append(self._attempts.popitem(last=False)[0])
        row = (_encode(key), count)

        def upsert(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO attempts (key, count) VALUES (?, ?)", row)
            _delete(connection, "attempts", dropped)

        await self._write(upsert)
        return count

    async def keep(self, key: Key, payload: bytes, now_s: float) -> None:
        """Remember a result and forget the attempts at it; return once that is committed."""
        self._remember(key, payload, now_s)
        dropped = self._make_room(now_s)
        self._attempts.pop(key, None)
        row = (_encode(key), payload)

        def upsert(connection: sqlite3.Connection) -> None:
            _delete(connection, "results", dropped)
            connection.execute("INSERT OR REPLACE INTO results (key, payload) VALUES (?, ?)", row)
            _delete(connection, "attempts", [key])

        await self._write(upsert)

    def drop_attempt(self, key: Key) -> None:
        """Forget the attempts at a prompt that was not run after all."""
        if self._attempts.pop(key, None) is not None and not self.journal.stands_still:
            self.journal.write_later(lambda connection: _delete(connection, "attempts", [key]))

    async def close(self) -> None:
        """Write what waits and close the file."""
        await self.journal.close()

    # -- memory --------------------------------------------------------------------------------

    def _remember(self, key: Key, payload: bytes, now_s: float) -> None:
        known = self._results.pop(key, None)
        if known is not None:
            self._bytes -= len(known.payload) + ENTRY_BYTES
        self._results[key] = _Kept(payload, now_s)
        self._bytes += len(payload) + ENTRY_BYTES

    def _make_room(self, now_s: float) -> list[Key]:
        """Forget what is too old or too much, oldest first, and return its keys."""
        dropped = []
        while self._results:
            key, oldest = next(iter(self._results.items()))
            if self._bytes <= self._limit_bytes and oldest.kept_s > now_s - self._keep_s:
                break
            del self._results[key]
            self._bytes -= len(oldest.payload) + ENTRY_BYTES
            dropped.append(key)
        return dropped

    def _load(self, now_s: float) -> None:
        read = self.journal.read_now
        for key, payload in read(lambda file: _rows(file, "SELECT key, payload FROM results")):
            self._remember(_decode(key), payload, now_s)
        for key, count in read(lambda file: _rows(file, "SELECT key, count FROM attempts")):
            self._attempts[_decode(key)] = count
        dropped = self._make_room(now_s)
        if dropped:
            self.journal.write_later(lambda connection: _delete(connection, "results", dropped))

    # -- file ----------------------------------------------------------------------------------

    async def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Commit; when that fails, go on from memory and say so once, until it works again."""
        try:
            await self.journal.write(work, _COMMIT_S)
        except StoreError as error:
            if not self._failing:
                _log.error("results are kept in memory only", reason=str(error))
            self._failing = True
        else:
            self._failing = False


async def drop_attempts(journal: Journal, keys: Iterable[Key]) -> None:
    """Forget the attempts at prompts in a file that no running agent counts in."""
    await journal.write(lambda connection: _delete(connection, "attempts", keys))


def _delete(connection: sqlite3.Connection, table: str, keys: Iterable[Key]) -> None:
    query = f"DELETE FROM {table} WHERE key = ?"  # noqa: S608 - our own names
    connection.executemany(query, [(_encode(key),) for key in keys])


def _rows(connection: sqlite3.Connection, query: str) -> list[tuple[bytes, Any]]:
    return connection.execute(f"{query} ORDER BY rowid").fetchall()


def _encode(key: Key) -> bytes:
    origin, prompt_id = key
    return prompt_id.bytes + origin.encode()


def _decode(key: bytes) -> Key:
    return key[16:].decode(errors="replace"), UUID(bytes=key[:16].ljust(16))
