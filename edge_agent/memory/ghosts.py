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
    from edge_agent.memory.verifier import QuestionVerifier
    from edge_agent.memory.wording import Question
    from shared.tasks import Task

_LEAST_COSINE: Final = 0.75
_CHECKED: Final = 8
KNOWN_REWORDING: Final = 0.6
"""Share of answers that agreed for two forms of a question, from which on they count as one."""


class Ghosts:
    """Ghosts by id, and their vectors. Their rows are for whoever adds or drops them to write."""

    def __init__(self, dimensions: int, verifier: QuestionVerifier) -> None:
        self.known: dict[int, Ghost] = {}
        self._index = ClusterIndex(dimensions)
        self._verifier = verifier

    def take_in(self, loaded: Loaded) -> None:
        """Fill it with what was on the disk."""
        for ghost, vector in zip(loaded.ghosts, loaded.ghost_vectors, strict=True):
            self.add(ghost, vector)

    def add(self, ghost: Ghost, vector: Vector) -> None:
        """Keep a ghost with the vector of its question."""
        self.known[ghost.id] = ghost
        self._index.add(ghost.id, vector)

    def drop(self, ghost_id: int) -> Ghost | None:
        """Let go of a ghost, and return it if there was one."""
        self._index.remove(ghost_id)
        return self.known.pop(ghost_id, None)

    def find(self, asked: Question, vector: Vector, task: Task, owner: str) -> Ghost | None:
        """Return the ghost of a question: the same names, and the same asked of them."""
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
