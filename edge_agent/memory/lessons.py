"""What an answer from above changes: a new entry, or a second opinion on one that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from edge_agent.memory.entries import Entry
from edge_agent.memory.fast_path import agree, lifetime_s, refusal
from edge_agent.memory.ghosts import KNOWN_REWORDING
from edge_agent.memory.recall import SAME
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.memory.entries import Ghost
    from edge_agent.memory.ghosts import Ghosts
    from edge_agent.memory.index import Vector
    from edge_agent.memory.recall import Recall
    from edge_agent.memory.retriever import Recalled
    from edge_agent.memory.shelf import Shelf
    from edge_agent.memory.verifier import QuestionVerifier
    from edge_agent.memory.wording import Question

_MERGED: Final = 0.8
"""So likely one question that an answer which agrees is a second opinion."""

Outcome = Literal["stored", "confirmed", "conflict", "refused"]


class Lesson(NamedTuple):
    """What an answer from above changed, and why nothing was kept if nothing was.

    It has ``settled`` an entry that it made stable.
    """

    outcome: Outcome
    entry: Entry | None
    why: str = ""
    settled: bool = False


class Lessons:
    """Takes answers from above in, and lets the verifier learn from them; counts ids from one."""

    def __init__(
        self, shelf: Shelf, ghosts: Ghosts, verifier: QuestionVerifier, next_id: int
    ) -> None:
        self._shelf = shelf
        self._ghosts = ghosts
        self._verifier = verifier
        self._next_id = next_id

    def learn(self, recall: Recall, answer: str, now_s: float, model: str, version: str) -> Lesson:
        """Store an answer from above, or count it for or against what is known."""
        if why := refusal(recall.task, recall.question.text, answer):
            return Lesson("refused", None, why)
        best = recall.candidates[0] if recall.candidates else None
        if best is not None and best.entry.id in self._shelf.entries:
            said_same = agree(answer, best.entry.answer)
            self._teach(recall.question, best, same=said_same)
            if best.exact or best.same >= SAME or (said_same and best.same >= _MERGED):
                return self._second_opinion(recall, best.entry, answer, now_s)
        return self._begin(recall, answer, now_s, model, version)

    def judge_ghost(self, recall: Recall, own: str, answer: str) -> Outcome | None:
        """Hold what the edge's model said of what it has learned against the answer from above.

        Where they differ, which is a conflict, the entry is back. None where nothing was learned,
        or nothing is kept of it.
        """
        ghost = recall.ghost
        if ghost is None:
            return None
        right = agree(answer, own)
        ghost.ok += right
        ghost.bad += not right
        if right:
            return "confirmed"
        entry = self.restore(ghost)
        if entry is None:
            return None
        if not refusal(recall.task, recall.question.text, answer):
            entry.vote(answer)
            self._shelf.put(entry)
        return "conflict"

    def restore(self, ghost: Ghost) -> Entry | None:
        """Put the entry of a ghost back in its place; None where nothing is kept of it."""
        kept = self._ghosts.buried(ghost)
        if kept is None:
            return None
        self._ghosts.drop(ghost)
        self._shelf.add(*kept)
        return kept[0]

    def store(self, entry: Entry, vectors: Sequence[Vector]) -> None:
        """Keep an entry under the next id, with a vector for each of its wordings."""
        entry.id = self._next_id
        self._next_id += 1
        self._shelf.add(entry, vectors)

    def _begin(self, recall: Recall, answer: str, now_s: float, model: str, version: str) -> Lesson:
        lives_s = lifetime_s(recall.task, recall.question.text)
        entry = Entry(
            id=0,
            task=recall.task,
            wordings=[recall.question.text],
            answer=answer,
            created_s=now_s,
            used_s=now_s,
            hot_s=now_s,
            model=model,
            version=version,
            owner=recall.owner,
            expires_s=None if lives_s is None else now_s + lives_s,
        )
        entry.vote(answer)
        self.store(entry, [recall.vector])
        return Lesson("stored", entry)

    def _second_opinion(self, recall: Recall, entry: Entry, answer: str, now_s: float) -> Lesson:
        """Count an answer to a question that is known; another wording of it is kept."""
        before = entry.state
        entry.vote(answer)
        entry.hit(now_s)
        self._shelf.add_wording(entry, recall.question.text, recall.vector)
        self._shelf.put(entry)
        if entry.state == "quarantined":
            return Lesson("conflict", entry, "its answers disagree")
        return Lesson("confirmed", entry, settled=before != entry.state == "stable")

    def _teach(self, asked: Question, best: Recalled, *, same: bool) -> None:
        """Let the verifier learn from an answer; a slip of the cloud is no other question."""
        if best.exact or best.likeness.guard or best.likeness.names < 1.0:
            return
        known = best.likeness.rewording >= KNOWN_REWORDING
        wording = read_question(best.entry.wordings[best.wording])
        self._verifier.rewordings.note(asked, wording, same=same)
        if same or not known:
            self._verifier.note(best.likeness, same=same)
