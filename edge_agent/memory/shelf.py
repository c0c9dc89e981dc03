"""The entries, where a search finds them and where the disk has them: the three kept in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_agent.memory.index import ClusterIndex, build, fill
from edge_agent.memory.retriever import WORDINGS_STEP
from edge_agent.memory.wording import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.memory.entries import Entry
    from edge_agent.memory.index import Vector
    from edge_agent.memory.rows import Loaded
    from edge_agent.memory.store import MemoryStore


class Shelf:
    """Entries by id, and the vectors of their wordings; changes go to the store, if there is one.

    What becomes of the row of an entry that is taken off is for whoever takes it to say.
    """

    def __init__(self, dimensions: int, store: MemoryStore | None) -> None:
        self.entries: dict[int, Entry] = {}
        self.index = ClusterIndex(dimensions)
        self._asked: dict[str, set[int]] = {}
        self._store = store

    def take_in(self, loaded: Loaded) -> None:
        """Fill it with what was on the disk."""
        self.entries = {entry.id: entry for entry in loaded.entries}
        for entry in loaded.entries:
            self._note(entry)
        keys = [key for entry in loaded.entries for key in _keys(entry)]
        if not keys:
            return
        rows, ids = np.stack(loaded.vectors), np.array(keys, np.int64)
        if loaded.centres is None:
            self.index = build(ids, rows)
        else:
            self.index = fill(ClusterIndex(rows.shape[1], loaded.centres), ids, rows)

    def add(self, entry: Entry, vectors: Sequence[Vector]) -> None:
        """Put an entry on, with a vector for each of its wordings."""
        self.entries[entry.id] = entry
        self._note(entry)
        for key, vector in zip(_keys(entry), vectors, strict=True):
            self.index.add(key, vector)
        self.put(entry)

    def add_wording(self, entry: Entry, text: str, vector: Vector) -> None:
        """Keep another way of asking, unless it is known or one too many."""
        place = entry.add_wording(text)
        if place is not None:
            self._note(entry)
            self.index.add(entry.id * WORDINGS_STEP + place, vector)

    def put(self, entry: Entry) -> None:
        """Write an entry that has changed, if it is still there."""
        if self._store is not None and entry.id in self.entries:
            self._store.put(entry, self.vectors_of(entry))

    def take(self, entry: Entry) -> list[Vector]:
        """Take an entry off, and return its vectors."""
        vectors = self.vectors_of(entry)
        del self.entries[entry.id]
        for text in entry.wordings:
            self._lose(normalise(text), entry.id)
        for key in _keys(entry):
            self.index.remove(key)
        return vectors

    def asked_as(self, normal: str) -> list[Entry]:
        """Return the entries of which one wording is this, as ``normalise`` has it."""
        return [self.entries[entry_id] for entry_id in sorted(self._asked.get(normal, ()))]

    def vectors_of(self, entry: Entry) -> list[Vector]:
        """Return the vectors of an entry's wordings."""
        return [self.index.vector(key).copy() for key in _keys(entry)]

    def freshen(self) -> None:
        """Make new clusters where they are stale."""
        if self.index.wants_rebuild:
            self.index = self.index.rebuilt()

    def _note(self, entry: Entry) -> None:
        for text in entry.wordings:
            self._asked.setdefault(normalise(text), set()).add(entry.id)

    def _lose(self, normal: str, entry_id: int) -> None:
        ids = self._asked.get(normal, set())
        ids.discard(entry_id)
        if not ids:
            self._asked.pop(normal, None)


def _keys(entry: Entry) -> range:
    first = entry.id * WORDINGS_STEP
    return range(first, first + len(entry.wordings))
