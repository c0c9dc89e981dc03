"""What an answer from above changes: a new entry, or a second opinion on one that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from edge_agent.memory.entries import Entry
from edge_agent.memory.fast_path import agree, lifetime_s, refusal
from edge_agent.memory.guards import difference
from edge_agent.memory.recall import SAME
from edge_agent.memory.rewordings import KNOWN
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_agent.memory.entries import Ghost
    from edge_agent.memory.ghosts import Ghosts
    from edge_agent.memory.index import Vector
    from edge_agent.memory.recall import Recall
    from edge_agent.memory.retriever import Recalled
    from edge_agent.memory.rewordings import Rewordings
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
    """Takes answers from above in, and lets the verifier learn from them; counts ids from one.

    ``restored`` is called for each entry that comes back in the place of its ghost.
    """

    def __init__(
        self,
        shelf: Shelf,
        ghosts: Ghosts,
        verifier: QuestionVerifier,
        next_id: int,
        restored: Callable[[], None],
    ) -> None:
        self._shelf = shelf
        self._ghosts = ghosts
        self._verifier = verifier
        self._next_id = next_id
        self._restored = restored

    def learn(self, recall: Recall, answer: str, now_s: float, model: str, version: str) -> Lesson:
        """Store an answer from above, or count it for or against what is known."""
        if why := refusal(recall.task, recall.question.text, answer):
            return Lesson("refused", None, why)
        if (lesson := self._of_learned(recall, answer)) is not None:
            return lesson
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
        if ghost is None or _is_another(recall, self._ghosts.buried(ghost)):
            return None
        right = agree(answer, own)
        ghost.ok += right
        ghost.bad += not right
        if right:
            return "confirmed"
        if refusal(recall.task, recall.question.text, answer):
            return None if self.restore(ghost) is None else "conflict"
        lesson = self._reopen(ghost, recall, answer)
        return None if lesson is None else lesson.outcome

    def _of_learned(self, recall: Recall, answer: str) -> Lesson | None:
        """Hold an answer against what the edge's model has learned; None where that is another."""
        kin = None if recall.ghost else self._kin_of(recall)
        ghost = recall.ghost or kin
        kept = self._ghosts.buried(ghost) if ghost is not None else None
        if ghost is None or kept is None or _is_another(recall, kept):
            return None
        entry = kept[0]
        same = agree(answer, entry.answer)
        if kin is not None:
            self._verifier.rewordings.note(
                recall.question, read_question(entry.question), same=same
            )
        if same and kin is not None:
            self._ghosts.add_wording(ghost, recall.question.text, recall.vector)
        if same:
            return Lesson("confirmed", entry)
        return None if kin is not None else self._reopen(ghost, recall, answer)

    def _kin_of(self, recall: Recall) -> Ghost | None:
        return self._ghosts.kin_of(recall.question, recall.vector, recall.task, recall.owner)

    def _reopen(self, ghost: Ghost, recall: Recall, answer: str) -> Lesson | None:
        """Put the entry of a ghost back that an answer from above contradicts, with that answer."""
        entry = self.restore(ghost)
        if entry is None:
            return None
        entry.vote(answer, recall.question.text)
        self._shelf.put(entry)
        return Lesson("conflict", entry)

    def restore(self, ghost: Ghost) -> Entry | None:
        """Put the entry of a ghost back in its place; None where nothing is kept of it."""
        kept = self._ghosts.buried(ghost)
        if kept is None:
            return None
        self._ghosts.drop(ghost)
        self._shelf.add(*kept)
        self._restored()
        return kept[0]

    @property
    def rewordings(self) -> Rewordings:
        """What it has learned of which questions are one."""
        return self._verifier.rewordings

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
        self.store(entry, [recall.vector])
        return Lesson("stored", entry)

    def _second_opinion(self, recall: Recall, entry: Entry, answer: str, now_s: float) -> Lesson:
        """Count an answer to a question that is known; another wording of it is kept."""
        before = entry.state
        entry.vote(answer, recall.question.text)
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
        known = best.likeness.rewording >= KNOWN
        wording = read_question(best.entry.wordings[best.wording])
        self._verifier.rewordings.note(asked, wording, same=same)
        if same or not known:
            self._verifier.note(best.likeness, same=same)


def _is_another(recall: Recall, kept: tuple[Entry, list[Vector]] | None) -> bool:
    """Return whether the archive says that a ghost was another question, of the same names."""
    return kept is not None and bool(difference(recall.question, read_question(kept[0].question)))
