"""The ghosts: what the edge's own model has learned, found by what a question asks for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from edge_agent.memory.entries import Ghost
from edge_agent.memory.guards import difference
from edge_agent.memory.index import ClusterIndex
from edge_agent.memory.wording import FUNCTION_WORDS, MASK, read_question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge_agent.memory.entries import Entry
    from edge_agent.memory.index import Vector
    from edge_agent.memory.rewordings import Rewordings
    from edge_agent.memory.rows import Loaded
    from edge_agent.memory.store import MemoryStore
    from edge_agent.memory.wording import Question
    from shared.tasks import Task

_LEAST_COSINE: Final = 0.75
_CHECKED: Final = 8


class Ghosts:
    """Ghosts by id, their vectors, and the archive of what they were; with a store, on disk, too.

    ``lose`` leaves the rows to whoever has more to remove with them.
    """

    def __init__(self, dimensions: int, rewordings: Rewordings, store: MemoryStore | None) -> None:
        self.known: dict[int, Ghost] = {}
        self._index = ClusterIndex(dimensions)
        self._rewordings = rewordings
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

    def add_wording(self, ghost: Ghost, text: str, vector: Vector) -> None:
        """Keep another way of asking in the archive, unless it is known or one too many."""
        kept = self.buried(ghost)
        if kept is None or kept[0].add_wording(text) is None:
            return
        entry, vectors = kept
        vectors.append(vector)
        if self._store is not None:
            self._store.bury(entry, vectors, ghost)

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
        """Return the ghost of a question."""
        names = hash_of_names(asked)
        for ghost in self._near(vector, task, owner):
            if ghost.names == names:
                if self._rewordings.same_kind(asked.masked, ghost.template):
                    return ghost
            elif not asked.names and self._in_lower_case(asked, ghost):
                return ghost
        return None

    def kin_of(self, asked: Question, vector: Vector, task: Task, owner: str) -> Ghost | None:
        """Return a ghost of the same names where nobody knows yet whether it is the question.

        It compares words, which takes longer than ``find``: no question waits for it.
        """
        names, masked = hash_of_names(asked), read_question(asked.masked)
        for ghost in self._near(vector, task, owner):
            if ghost.names == names and not difference(masked, read_question(ghost.template)):
                return ghost
        return None

    def _near(self, vector: Vector, task: Task, owner: str) -> Iterator[Ghost]:
        for key, cosine in self._index.search(vector, _CHECKED) if self.known else ():
            ghost = self.known[key]
            if cosine >= _LEAST_COSINE and (ghost.task, ghost.owner) == (task, owner):
                yield ghost

    def _in_lower_case(self, asked: Question, ghost: Ghost) -> bool:
        """Return whether a question without capitals is a ghost's, in one of the forms known."""
        forms = self._rewordings.forms_of(ghost.template)
        return any(_hash(name, asked.numbers) == ghost.names for name in _names_in(asked, forms))


def _names_in(asked: Question, forms: Iterable[str]) -> Iterator[frozenset[str]]:
    """Yield the words that a question has where a form of it has its one name."""
    said = " ".join(asked.words)
    for form in forms:
        before, _, after = form.partition(MASK)
        if MASK not in after and said.startswith(before) and said.endswith(after):
            name = frozenset(said[len(before) : len(said) - len(after)].split())
            yield name - FUNCTION_WORDS or name


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
    return _hash(asked.name_words, asked.numbers)


def _hash(names: Iterable[str], numbers: Iterable[str]) -> str:
    parts = "\0".join((*sorted(names), "", *numbers))
    return hashlib.sha256(parts.encode()).hexdigest()[:24]
