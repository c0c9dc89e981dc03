"""Prompts that were tried too often, kept for people to look at: what, from whom, and why.

Above the devices they share the file of an agent's results, so that a prompt is set aside by the
same commits that count its attempts; a device has a file for them alone. Another process may read
and purge them while the agent runs.
"""

from __future__ import annotations

from datetime import datetime, timezone
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from shared.storage.journal import Journal
from shared.tasks import Options, Task
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection
    from pathlib import Path

    from shared.messages import Prompt

TABLE: Final = (
    "CREATE TABLE dead_letters (origin TEXT, id TEXT, task TEXT, text TEXT, reason TEXT,"
    " attempts INTEGER, sha256 TEXT, quarantined_at TEXT, options TEXT, PRIMARY KEY (origin, id))"
)
LIMIT_BYTES: Final = 16 << 20
"""Texts kept, at most, with their options."""
_LIMIT_LETTERS: Final = 1_000

_log = get_logger()


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt that was set aside; its fields are the columns of the table, in their order.

    ``sha256`` is of the text, ``quarantined_at`` ISO 8601 in UTC, ``options`` how the answer was
    wanted. Without attempts it is no prompt,
    but what could not be read of one, written as Python writes bytes.
    """

    origin: str
    id: UUID
    task: Task
    text: str
    reason: str
    attempts: int
    sha256: str
    quarantined_at: str
    options: Options = {}

    @classmethod
    def of(cls, prompt: Prompt, *, reason: str, attempts: int) -> DeadLetter:
        """Return the letter of a prompt that is set aside now."""
        return cls(
            origin=prompt.origin,
            id=prompt.id,
            task=prompt.task,
            text=prompt.text,
            reason=reason,
            attempts=attempts,
            sha256=sha256(prompt.text.encode()).hexdigest(),
            quarantined_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            options=prompt.options,
        )


def letters_file(agent: str) -> str:
    """Return the name of the file that a device has for its letters, in its state folder."""
    return f"{agent}.letters.sqlite"


class DeadLetters:
    """The dead letters of one agent; beyond a thousand, or 16 MiB of text, the oldest go."""

    def __init__(self, journal: Journal) -> None:
        self.dropped = 0
        """Letters that had to make room since the start."""
        self._journal = journal

    @classmethod
    def open(cls, folder: Path, agent: str) -> DeadLetters:
        """Open the file of a device in a folder. Raises ``SettingsError``."""
        path = folder / letters_file(agent)
        return cls(Journal.open(path, TABLE, synchronous="FULL", limit_bytes=2 * LIMIT_BYTES))

    async def quarantine(self, letter: DeadLetter) -> None:
        """Say so in the log, and return once the letter is committed. Raises ``StoreError``."""
        _log.error(
            "prompt put aside",
            id=str(letter.id),
            origin=letter.origin,
            sha256=letter.sha256,
            attempts=letter.attempts,
            reason=letter.reason,
        )
        options = msgspec.json.encode(letter.options).decode()
        row = tuple((msgspec.to_builtins(letter) | {"options": options}).values())
        dropped = await self._journal.write(lambda connection: _insert(connection, row))
        if dropped:
            self.dropped += dropped
            _log.warning("dead letters dropped", dropped=dropped, since_start=self.dropped)

    def texts(self) -> set[str]:
        """Return the SHA-256 of every prompt's text, and wait for it. Raises ``StoreError``."""
        query = "SELECT sha256 FROM dead_letters WHERE attempts > 0"
        return self._journal.read_now(lambda file: {sha for (sha,) in file.execute(query)})

    async def close(self) -> None:
        """Close the file; for one that a device has for its letters."""
        await self._journal.close()

    async def all(self) -> list[DeadLetter]:
        """Return all of them, oldest first. Raises ``StoreError``."""
        return await self._journal.write(lambda connection: _select(connection, "1"))

    async def get(self, prefix: str) -> list[DeadLetter]:
        """Return those whose id, or ``origin/id``, begins so. Raises ``StoreError``."""
        name = "origin || '/' || id" if "/" in prefix else "id"
        where = f"substr({name}, 1, length(?)) = ?"
        return await self._journal.write(
            lambda connection: _select(connection, where, prefix, prefix)
        )

    async def purge(self, letters: Collection[DeadLetter]) -> int:
        """Remove these and return how many were still there. Raises ``StoreError``."""
        keys = [(letter.origin, str(letter.id)) for letter in letters]
        return await self._journal.write(
            lambda connection: (
                connection.executemany(
                    "DELETE FROM dead_letters WHERE origin = ? AND id = ?", keys
                ).rowcount
            )
        )


def _insert(connection: sqlite3.Connection, row: tuple[object, ...]) -> int:
    """Insert or replace a letter, make room, and return how many others had to go."""
    connection.execute(
        "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row
    )
    newest_first = connection.execute(
        "SELECT rowid, length(CAST(text || options AS BLOB)) FROM dead_letters ORDER BY rowid DESC"
    )
    kept = kept_bytes = 0
    drop = []
    for rowid, text_bytes in newest_first.fetchall():
        kept, kept_bytes = kept + 1, kept_bytes + text_bytes
        if kept > 1 and (kept > _LIMIT_LETTERS or kept_bytes > LIMIT_BYTES):
            drop.append((rowid,))
    connection.executemany("DELETE FROM dead_letters WHERE rowid = ?", drop)
    return len(drop)


def _select(connection: sqlite3.Connection, where: str, *values: str) -> list[DeadLetter]:
    query = f"SELECT * FROM dead_letters WHERE {where} ORDER BY rowid"  # noqa: S608 - our words
    return [_read(row) for row in connection.execute(query, values)]


def _read(row: tuple[Any, ...]) -> DeadLetter:
    fields = dict(zip(DeadLetter.__struct_fields__, row, strict=True))
    return msgspec.convert(fields | {"options": msgspec.json.decode(fields["options"])}, DeadLetter)
