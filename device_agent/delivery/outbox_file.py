"""The file of a device's outbox: escalated prompts, until their results are out.

A row is the promise of one result. It is stored before its prompt is sent, resolved by the one
update that finds it unresolved, and forgotten when the result has reached its asker. What a prompt
and a result look like as bytes is the business of ``device_agent.delivery.outbox_codec``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from shared.errors import StoreFull
from shared.storage.journal import Journal
from shared.storage.sqlite_file import PAGE_BYTES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA: Final = (
    "CREATE TABLE outbox (id BLOB PRIMARY KEY CHECK (typeof(id) = 'blob' AND length(id) = 16),"
    " payload BLOB NOT NULL CHECK (typeof(payload) = 'blob'),"
    " result BLOB CHECK (typeof(result) IN ('blob', 'null'))) /* rows of form 1 */"
)
"""Another form of rows needs another number here: the file of another version is moved aside."""
_PAGE_ROWS: Final = 500
_PROMPTS_SHARE: Final = 1 / 3
"""Share of the file that prompts may fill. A row whose result is no longer than its payload grows
threefold at worst, so whoever is promised a result can get it."""


class OutboxRow(NamedTuple):
    """A prompt as an earlier run of the device left it; ``result`` once it was resolved."""

    id: UUID
    payload: bytes
    result: bytes | None


class OutboxFile:
    """The rows of one device, in one file that outlives a crash and a power cut."""

    def __init__(self, journal: Journal, name: str, *, limit_bytes: int) -> None:
        self.journal = journal
        self._name = name
        self._room_pages = int(limit_bytes * _PROMPTS_SHARE) // PAGE_BYTES

    @classmethod
    def open(cls, folder: Path | None, agent: str, *, limit_bytes: int) -> OutboxFile:
        """Open the outbox of ``agent`` in a folder, or one in memory for None.

        Raises ``SettingsError`` when the folder is missing or cannot be written.
        """
        path = folder / f"{agent}.outbox.sqlite" if folder is not None else None
        journal = Journal.open(path, _SCHEMA, synchronous="FULL", limit_bytes=limit_bytes)
        return cls(journal, str(path or "the outbox in memory"), limit_bytes=limit_bytes)

    def recovered(self) -> Iterator[OutboxRow]:
        """Yield what an earlier run left, oldest first, a page in memory. Raises ``StoreError``."""
        last = 0
        while page := self._page(last):
            for last, key, payload, result in page:  # noqa: B007 - where the next page begins
                yield OutboxRow(UUID(bytes=key), payload, result)

    async def store(self, prompt_id: UUID, payload: bytes, *, reserved_bytes: int = 0) -> None:
        """Return once the prompt is on the disk; one that is there already stays as it is.

        ``reserved_bytes`` is by how much answers may be longer than their prompts, this one's and
        those of all that are here; it counts as if it were used. Raises ``StoreFull`` while the
        third of the file that prompts may fill is full, or the disk is; ``StoreError`` when the
        disk fails.
        """

        def insert(connection: sqlite3.Connection) -> None:
            reserved_pages = -(-reserved_bytes // PAGE_BYTES)
            if _used_pages(connection) + reserved_pages >= self._room_pages:
                raise StoreFull(f"{self._name}: its room for prompts is full")
            connection.execute(
                "INSERT INTO outbox (id, payload) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (prompt_id.bytes, payload),
            )

        await self.journal.write(insert)

    async def resolve(self, prompt_id: UUID, result: bytes) -> bool:
        """Give the prompt its one result; return whether it was waiting for one.

        Raises ``StoreError``; the prompt waits on then.
        """

        def update(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "UPDATE outbox SET result = ? WHERE id = ? AND result IS NULL",
                (result, prompt_id.bytes),
            )
            return cursor.rowcount == 1

        return await self.journal.write(update)

    def forget(self, prompt_id: UUID) -> None:
        """Drop the row soon: its result is out. A crash before that brings the row again."""
        self.journal.write_later(
            lambda connection: connection.execute(
                "DELETE FROM outbox WHERE id = ?", (prompt_id.bytes,)
            )
        )

    async def close(self) -> None:
        """Write what waits and close the file."""
        await self.journal.close()

    def _page(self, after: int) -> list[tuple[int, bytes, bytes, bytes | None]]:
        query = (
            "SELECT rowid, id, payload, result FROM outbox WHERE rowid > ? ORDER BY rowid LIMIT ?"
        )
        at = (after, _PAGE_ROWS)
        return self.journal.read_now(lambda file: file.execute(query, at).fetchall())


def _used_pages(connection: sqlite3.Connection) -> int:
    pages, free = (
        connection.execute(f"PRAGMA {count}").fetchone()[0]
        for count in ("page_count", "freelist_count")
    )
    return int(pages) - int(free)
