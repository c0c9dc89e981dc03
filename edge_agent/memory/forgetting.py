"""Forgetting for good: entries, their ghosts, their place in the archive; and all before a moment.

What is forgotten trains no later night and answers nobody, from the disk neither. Nor is a question
left among the rewordings that was asked by what is forgotten alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.memory.rewordings import template
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.memory.entries import Entry
    from edge_agent.memory.ghosts import Ghosts
    from edge_agent.memory.rewordings import Rewordings
    from edge_agent.memory.shelf import Shelf
    from edge_agent.memory.store import MemoryStore


class Forgetting:
    """What a memory holds and lets go of; answers from before ``not_before_s`` are none."""

    def __init__(
        self,
        shelf: Shelf,
        ghosts: Ghosts,
        rewordings: Rewordings,
        store: MemoryStore | None,
        not_before_s: float,
    ) -> None:
        self.not_before_s = not_before_s
        self._rewordings = rewordings
        self._shelf = shelf
        self._ghosts = ghosts
        self._store = store

    def everything(self) -> list[Entry]:
        """Return all entries, and those that the edge's model has learned, by id."""
        learned = self._store.archived() if self._store is not None else []
        known = {entry.id: entry for entry in learned} | self._shelf.entries
        return [known[entry_id] for entry_id in sorted(known)]

    def forget(self, entries: Iterable[int]) -> int:
        """Forget entries, and all that only they say; return how many."""
        ids = set(entries)
        known = self.everything()
        gone = _said(entry for entry in known if entry.id in ids)
        left = _said(entry for entry in known if entry.id not in ids)
        count = self.drop(ids)
        if self._rewordings.lose(gone - left) and self._store is not None:
            self._store.put_rewordings(self._rewordings.rows())
        return count

    def drop(self, entries: Iterable[int]) -> int:
        """Let go of entries with their ghosts and what the archive has of them; return how many."""
        ids, count = list(entries), 0
        for entry_id in ids:
            entry, ghost = self._shelf.entries.get(entry_id), self._ghosts.lose(entry_id)
            count += entry is not None or ghost is not None
            if entry is not None:
                self._shelf.take(entry)
        if self._store is not None and ids:
            self._store.forget(ids)
        return count

    def begin_epoch(self, not_before_s: float) -> int:
        """Forget what was answered before a moment; return how many entries.

        What is older and comes later, from an import, does not count either.
        """
        if not_before_s <= self.not_before_s:
            return 0
        self.not_before_s = not_before_s
        if self._store is not None:
            self._store.put_epoch(not_before_s)
        return self.forget(
            entry.id for entry in self.everything() if entry.created_s < not_before_s
        )


def _said(entries: Iterable[Entry]) -> set[str]:
    """Return all that entries ask, as the rewordings have it: with its own names masked, or theirs.

    A wording without capitals has the names of the others.
    """
    asked = (tuple(map(read_question, entry.wordings)) for entry in entries)
    return {template(one, other) for each in asked for one in each for other in each}
