"""The ghosts: what the edge's own model has learned, found by what a question asks for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from edge_agent.memory.entries import Ghost
from edge_agent.memory.guards import difference
from edge_agent.memory.index import ClusterIndex
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from edge_agent.memory.entries import Entry
    from edge_agent.memory.index import Vector
    from edge_agent.memory.rows import Loaded
    from edge_agent.memory.store import MemoryStore
    from edge_agent.memory.verifier import QuestionVerifier
    from edge_agent.memory.wording import Question
    from shared.tasks import Task

_LEAST_COSINE: Final = 0.75
_CHECKED: Final = 8
KNOWN_REWORDING: Final = 0.6
"""Share of answers that agreed for two forms of a question, from which on they count as one."""


class Ghosts:
    """Ghosts by id, their vectors, and the archive of what they were; with a store, on disk, too.

    ``lose`` leaves the rows to whoever has more to remove with them.
    """

    def __init__(
        self, dimensions: int, verifier: QuestionVerifier, store: MemoryStore | None
    ) -> None:
        self.known: dict[int, Ghost] = {}
        self._index = ClusterIndex(dimensions)
        self._verifier = verifier
        self._store = store
        self._archive: dict[int, tuple[Entry, list[Vector]]] = {}
        """That of a memory without a store."""

    def take_in(self, loaded: Loaded) -> None:
        """Fill it with what was on the disk."""
        for ghost, vector in zip(loaded.ghosts, loaded.ghost_vectors, strict=True):
            self._add(ghost, vector)

    def bury(self, entry: Entry, vectors: list[Vector], version: str, score: float) -> Ghost:
        """Move an entry that the model of ``version`` knows to the archive; return its ghost."""
        ghost = ghost_of(entry, version, score)
        self._add(ghost, vectors[0])
        if self._store is not None:
            self._store.bury(entry, vectors, ghost)
        else:
            self._archive[ghost.id] = entry, vectors
        return ghost

    def stand_beside(self, entry: Entry, vector: Vector, version: str, score: float) -> Ghost:
        """Return the ghost of an entry that stays."""
        ghost = ghost_of(entry, version, score)
        self._add(ghost, vector)
        if self._store is not None:
            self._store.put_ghost(ghost, vector)
        return ghost

    def buried(self, ghost: Ghost) -> tuple[Entry, list[Vector]] | None:
        """Return what the archive has of a ghost."""
        if self._store is not None:
            return self._store.buried(ghost.id)
        return self._archive.get(ghost.id)

    def drop(self, ghost: Ghost) -> None:
        """Let go of a ghost and of what the archive has of it."""
        if self.lose(ghost.id) is not None and self._store is not None:
            self._store.drop_ghost(ghost.id)

    def lose(self, ghost_id: int) -> Ghost | None:
        """Do the same but for the rows, and return the ghost if there was one."""
        self._archive.pop(ghost_id, None)
        self._index.remove(ghost_id)
        return self.known.pop(ghost_id, None)

    def _add(self, ghost: Ghost, vector: Vector) -> None:
        self.known[ghost.id] = ghost
        self._index.add(ghost.id, vector)

    def find(self, asked: Question, vector: Vector, task: Task, owner: str) -> Ghost | None:
        """Return the ghost of a question: the same names, and the same asked of them."""
        if not self.known:
            return None
        names = hash_of_names(asked)
        for key, cosine in self._index.search(vector, _CHECKED):
            ghost = self.known[key]
            if (
                cosine >= _LEAST_COSINE
                and (ghost.names, ghost.task, ghost.owner) == (names, task, owner)
                and self._same_kind(asked, ghost.template)
            ):
                return ghost
        return None

    def _same_kind(self, asked: Question, template: str) -> bool:
        """Return whether a question without its names asks for what a ghost did."""
        if asked.masked == template:
            return True
        share = self._verifier.rewordings.share_of(asked.masked, template)
        known, bare = read_question(template), read_question(asked.masked)
        return not difference(bare, known) and share >= KNOWN_REWORDING


def ghost_of(entry: Entry, version: str, score: float) -> Ghost:
    """Return what stays of an entry that the model of ``version`` knows."""
    asked = read_question(entry.question)
    return Ghost(
        id=entry.id,
        task=entry.task,
        template=asked.masked,
        names=hash_of_names(asked),
        version=version,
        score=score,
        owner=entry.owner,
    )


def hash_of_names(asked: Question) -> str:
    """Return what tells the names and numbers of a question from others, and not which they are."""
    parts = "\0".join((*sorted(asked.name_words), "", *asked.numbers))
    return hashlib.sha256(parts.encode()).hexdigest()[:24]
