"""The memory on disk: one SQLite file, whose log is the journal and whose pages are the snapshot.

A change is one row, written by the journal's own thread with whatever else waits; a process that is
killed loses at most what had not been synced yet, and whole rows of that. Loading reads every row
and the centres of the clusters, so that no cluster is made again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edge_agent.memory.days import DayAccount
from edge_agent.memory.entries import Entry, Ghost
from edge_agent.memory.rows import STANDING, Loaded, load_rows, pack, small, unpack
from shared.errors import StoreError
from shared.storage.journal import Journal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edge_agent.memory.index import Vector
    from edge_agent.memory.standing import Counted
    from edge_agent.memory.verifier import PairLabel

FILE: Final = "memory.db"
LIMIT_BYTES: Final = 4 << 30
_UNIT: Final = 0.02
_DAY: Final = "day "
SCHEMA: Final = """
CREATE TABLE entries (id INTEGER PRIMARY KEY, entry BLOB NOT NULL, vectors BLOB NOT NULL) STRICT;
CREATE TABLE ghosts (id INTEGER PRIMARY KEY, ghost BLOB NOT NULL, vector BLOB NOT NULL) STRICT;
CREATE TABLE archive (id INTEGER PRIMARY KEY, entry BLOB NOT NULL, vectors BLOB NOT NULL) STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""
_entries = msgspec.msgpack.Decoder(Entry)
_days = msgspec.msgpack.Decoder(DayAccount)


class MemoryStore:
    """Rows of entries and ghosts, and what the memory knows besides."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @classmethod
    def open(cls, folder: Path | None, embedder: str, dimensions: int) -> MemoryStore:
        """Open the file in a folder, or one in memory if None.

        Raises ``StoreError`` when its vectors are of another embedder, whose digest differs.
        """
        path = None if folder is None else folder / FILE
        journal = Journal.open(
            path, SCHEMA, synchronous="NORMAL", limit_bytes=LIMIT_BYTES, erase=True
        )
        store = cls(journal)
        known = store.facts()
        own = {"embedder": embedder, "dimensions": str(dimensions)}
        if not known.get("embedder"):
            for name, value in own.items():
                store.put_fact(name, value.encode())
        elif known["embedder"].decode() != embedder:
            raise StoreError(
                f"{path}: its vectors are of another embedder ({known['embedder'].decode()[:12]}, "
                f"this one is {embedder[:12]}); name that one in memory.embedder, or move the file "
                "away and begin anew"
            )
        return store

    @classmethod
    def reopen(cls, folder: Path) -> MemoryStore:
        """Open the file in a folder to change it, whatever embedder its vectors are of."""
        return cls(
            Journal.open(
                folder / FILE, SCHEMA, synchronous="NORMAL", limit_bytes=LIMIT_BYTES, erase=True
            )
        )

    @classmethod
    def join(cls, path: Path) -> MemoryStore:
        """Open a file that an agent may be writing, to read it. Raises ``StoreError``."""
        return cls(Journal.join(path, SCHEMA))

    @property
    def dimensions(self) -> int:
        """How long a vector is."""
        return int(self.facts().get("dimensions", b"384"))

    def facts(self) -> dict[str, bytes]:
        """Return what is known of the file itself."""
        rows = self._journal.read_now(
            lambda connection: connection.execute("SELECT name, value FROM facts").fetchall()
        )
        return dict(rows)

    def load(self) -> Loaded:
        """Read everything. A row that cannot be read is counted and left where it is."""
        return self._journal.read_now(load_rows)

    def put(self, entry: Entry, vectors: Sequence[Vector]) -> None:
        """Write an entry with the vectors of its wordings."""
        row = (entry.id, msgspec.msgpack.encode(entry), pack(vectors))
        self._later("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", row)

    def drop(self, entry_id: int) -> None:
        """Remove an entry."""
        self._later("DELETE FROM entries WHERE id = ?", (entry_id,))

    def bury(self, entry: Entry, vectors: Sequence[Vector], ghost: Ghost) -> None:
        """Move an entry to the archive, and write what stays of it; all or nothing."""
        packed = pack(vectors)

        def work(connection: sqlite3.Connection) -> None:
            row = (entry.id, msgspec.msgpack.encode(entry), packed)
            connection.execute("INSERT OR REPLACE INTO archive VALUES (?, ?, ?)", row)
            connection.execute("DELETE FROM entries WHERE id = ?", (entry.id,))
            stays = (ghost.id, msgspec.msgpack.encode(ghost), small(vectors[0]))
            connection.execute("INSERT OR REPLACE INTO ghosts VALUES (?, ?, ?)", stays)

        self._journal.write_later(work)

    def buried(self, ghost_id: int) -> tuple[Entry, list[Vector]] | None:
        """Return what the archive has of a ghost, not for the event loop; None for nothing."""
        row = self._journal.read_later(
            lambda connection: connection.execute(
                "SELECT entry, vectors FROM archive WHERE id = ?", (ghost_id,)
            ).fetchone()
        )
        if row is None:
            return None
        entry = _entries.decode(row[0])
        return entry, unpack(row[1], len(entry.wordings))

    def put_ghost(self, ghost: Ghost, vector: Vector) -> None:
        """Write a ghost."""
        row = (ghost.id, msgspec.msgpack.encode(ghost), small(vector))
        self._later("INSERT OR REPLACE INTO ghosts VALUES (?, ?, ?)", row)

    def drop_ghost(self, ghost_id: int) -> None:
        """Remove a ghost and what the archive has of it; an entry beside it stays."""
        for table in ("ghosts", "archive"):
            self._later(f"DELETE FROM {table} WHERE id = ?", (ghost_id,))  # noqa: S608 - our names

    def forget(self, entries: Sequence[int]) -> None:
        """Remove entries, their ghosts and what the archive has of them, all or nothing."""
        ids = [(entry_id,) for entry_id in entries]

        def work(connection: sqlite3.Connection) -> None:
            for table in ("entries", "ghosts", "archive"):
                connection.executemany(f"DELETE FROM {table} WHERE id = ?", ids)  # noqa: S608 - ours

        self._journal.write_later(work)

    def archived(self) -> list[Entry]:
        """Return what the edge's model has learned, to be learned again."""
        rows = self._journal.read_later(
            lambda connection: connection.execute("SELECT entry FROM archive").fetchall()
        )
        return [_entries.decode(row[0]) for row in rows]

    def put_fact(self, name: str, value: bytes) -> None:
        """Write something that is known besides."""
        self._later("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def put_knowledge(
        self,
        centres: Vector,
        labels: Sequence[PairLabel],
        rewordings: Sequence[tuple[str, str, int, int]],
    ) -> None:
        """Write the centres of the clusters, and what the verifier learned."""
        self.put_fact("centres", np.asarray(centres, np.float16).tobytes())
        self.put_fact("labels", msgspec.msgpack.encode(list(labels)))
        self.put_rewordings(rewordings)

    def put_rewordings(self, rewordings: Sequence[tuple[str, str, int, int]]) -> None:
        """Write which questions were met as one in other words."""
        self.put_fact("rewordings", msgspec.msgpack.encode(list(rewordings)))

    def faults(self) -> list[str]:
        """Return what is wrong with the file itself: empty where it is sound."""
        orphans = {entry.id for entry in self.archived()}
        loaded = self.load()
        found = self._journal.read_now(
            lambda connection: [
                str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")
            ]
        )
        orphans -= {ghost.id for ghost in loaded.ghosts}
        lengths = [float(np.linalg.norm(vector)) for vector in loaded.vectors]
        faults = [] if found == ["ok"] else found
        if loaded.broken:
            faults.append(f"{loaded.broken} rows cannot be read, and are left where they are")
        if orphans:
            faults.append(f"{len(orphans)} archived entries have no ghost")
        if bent := sum(abs(length - 1.0) > _UNIT for length in lengths):
            faults.append(f"{bent} vectors have not the length 1")
        return faults

    def put_checks(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Write how many checks of each way of answering agreed, and how many did not."""
        self.put_fact("checks", msgspec.msgpack.encode(dict(counts)))

    def put_standing(self, changed: Mapping[str, Counted]) -> None:
        """Write how often a way of answering was right, and how often wrong, by name."""
        for name, counted in changed.items():
            self.put_fact(f"{STANDING}{name}", msgspec.msgpack.encode(counted))

    def put_epoch(self, not_before_s: float) -> None:
        """Write the moment before which no answer counts."""
        self.put_fact("not_before_s", msgspec.msgpack.encode(not_before_s))

    def put_day(self, account: DayAccount) -> None:
        """Write the account of a day."""
        self.put_fact(f"{_DAY}{account.day}", msgspec.msgpack.encode(account))

    def drop_day(self, day: str) -> None:
        """Remove the account of a day."""
        self._later("DELETE FROM facts WHERE name = ?", (f"{_DAY}{day}",))

    def days(self) -> list[DayAccount]:
        """Return the accounts of all days; one that cannot be read is passed over."""
        accounts = []
        for name, value in self.facts().items():
            if name.startswith(_DAY):
                with contextlib.suppress(msgspec.DecodeError):
                    accounts.append(_days.decode(value))
        return accounts

    async def settle(self) -> None:
        """Return once everything is on the disk, and what was forgotten is in no log any more.

        Raises ``StoreError``.
        """
        await self._journal.settle()

    async def close(self) -> None:
        """Write what waits, and close the file."""
        await self._journal.close()

    def _later(self, statement: str, values: tuple[Any, ...]) -> None:
        self._journal.write_later(lambda connection: connection.execute(statement, values))
