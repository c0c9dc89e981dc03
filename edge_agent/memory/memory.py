"""The memory of an edge: recall what is like a question, learn what came from above, let go.

Whoever calls embeds the question and tells the time, so that nothing here waits or loads a model.
Changes go to the store as they are made, if there is one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from edge_agent.memory.entries import Entry, Ghost
from edge_agent.memory.eviction import to_evict
from edge_agent.memory.fast_path import agree, is_short, lifetime_s, refusal
from edge_agent.memory.guards import difference
from edge_agent.memory.index import ClusterIndex, build, fill
from edge_agent.memory.retriever import WORDINGS_STEP, Recalled, Retriever, examples
from edge_agent.memory.router import Decision, Situation, by_rule, by_worth
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.standing import Standing
from edge_agent.memory.verifier import QuestionVerifier
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from edge_agent.memory.index import Vector
    from edge_agent.memory.store import MemoryStore
    from edge_agent.memory.wording import Question
    from shared.tasks import Task

SAME: Final = 0.97
"""So likely one question that an answer from above is a second opinion on the entry's."""
_MERGED: Final = 0.8
_GHOST: Final = 0.75
_KNOWN_REWORDING: Final = 0.6
_GHOSTS_CHECKED: Final = 8

Outcome = Literal["stored", "confirmed", "conflict", "refused"]


class Recall(NamedTuple):
    """What a question brought to mind."""

    question: Question
    vector: Vector
    task: Task
    owner: str
    candidates: list[Recalled]
    ghost: Ghost | None

    @property
    def best(self) -> Recalled | None:
        """The likeliest candidate that may be used."""
        usable = (each for each in self.candidates if each.entry.state != "quarantined")
        best = next(usable, None)
        doubted = self.candidates and self.candidates[0].entry.state == "quarantined"
        if doubted and self.candidates[0].same >= SAME:
            return None
        return best


class Lesson(NamedTuple):
    """What an answer from above changed, and why nothing was kept if nothing was."""

    outcome: Outcome
    entry: Entry | None
    why: str = ""


class Memory:
    """Entries, ghosts, and what was learned of both."""

    def __init__(
        self,
        settings: MemorySettings | None = None,
        *,
        dimensions: int = 384,
        store: MemoryStore | None = None,
    ) -> None:
        self.settings = settings or MemorySettings()
        self.entries: dict[int, Entry] = {}
        self.ghosts: dict[int, Ghost] = {}
        self.verifier = QuestionVerifier()
        self.standing = Standing({"edge": 0.3, "examples": 0.9, "direct": 0.95})
        self.counts: Counter[str] = Counter()
        """What became of the answers from above, by outcome."""
        self._store = store
        self._index = ClusterIndex(dimensions)
        self._ghost_index = ClusterIndex(dimensions)
        self._retriever = Retriever(self.verifier)
        self._next_id = 1
        if store is not None:
            self._load(store)

    # -- what a question meets -----------------------------------------------------------------

    def recall(
        self,
        text: str,
        vector: Vector,
        now_s: float,
        *,
        task: Task = "generate",
        owner: str = "",
        versions: Collection[str] | None = None,
    ) -> Recall:
        """Return what is like a question: candidates, the likeliest first, and a ghost of it.

        Given ``versions``, answers of other ones are left out; those of nobody known are not.
        """
        asked = read_question(text)
        vector = np.asarray(np.asarray(vector, np.float16), np.float32)  # as it is on the disk
        owner = owner if self.settings.owners == "apart" else ""

        def eligible(entry: Entry) -> bool:
            return (
                entry.owner == owner
                and entry.task == task
                and entry.state != "expired"
                and (entry.expires_s is None or entry.expires_s > now_s)
                and (not versions or not entry.version or entry.version in versions)
                and entry.created_s >= self.settings.not_before_s
                and (not self.settings.only_version or entry.version == self.settings.only_version)
            )

        found = self._retriever.candidates(asked, vector, self._index, self.entries, eligible)
        ghost = self._ghost_of(asked, vector, task, owner)
        return Recall(asked, vector, task, owner, found, ghost)

    def situation(
        self,
        recall: Recall,
        *,
        cloud: float = 0.93,
        cloud_open: bool = True,
        pressure: float = 0.0,
        direct: bool = True,
    ) -> Situation:
        """Return what the router goes by; ``direct`` says whether answers may be given again."""
        best, kind = recall.best, recall.question.masked
        ghost = recall.ghost
        edge = ghost.chance if ghost else self.standing.lower("edge", kind)
        if best is None:
            return Situation(
                ghost=ghost is not None,
                edge=edge,
                cloud=cloud,
                cloud_open=cloud_open,
                pressure=pressure,
            )
        helps = best.entry.chance_helps * self.standing.chance("examples", kind) / 0.9
        shown = [each for each in recall.candidates if not each.likeness.guard]
        return Situation(
            same=best.same,
            exact=best.exact,
            stable=best.entry.state == "stable",
            short=direct and is_short(best.entry.answer),
            ghost=ghost is not None,
            good_examples=len(shown),
            direct=best.same * best.entry.chance_ok,
            examples=min(1.0, best.same * helps),
            edge=edge,
            cloud=cloud,
            cloud_open=cloud_open,
            pressure=pressure,
        )

    def decide(self, situation: Situation) -> Decision:
        """Return the way, by the rule that the settings name."""
        return by_worth(situation) if self.settings.rule == "worth" else by_rule(situation)

    def examples(self, recall: Recall, now_s: float) -> list[Recalled]:
        """Return the examples worth showing to the edge's model."""
        usable = [each for each in recall.candidates if each.entry.state != "quarantined"]
        return examples(usable, now_s, self.settings.examples)

    # -- what is learned -----------------------------------------------------------------------

    def learn(
        self, recall: Recall, answer: str, now_s: float, *, model: str = "", version: str = ""
    ) -> Lesson:
        """Take in an answer from above: store it, or count it for or against what is known."""
        question = recall.question.text
        if why := refusal(recall.task, question, answer):
            return self._counted(Lesson("refused", None, why))
        best = recall.candidates[0] if recall.candidates else None
        if best is not None and best.entry.id in self.entries:
            said_same = agree(answer, best.entry.answer)
            known = best.likeness.rewording >= _KNOWN_REWORDING
            self._teach(recall.question, best, same=said_same, known=known)
            merged = best.exact or best.same >= SAME or (said_same and best.same >= _MERGED)
            if merged:
                return self._counted(self._second_opinion(recall, best, answer, now_s))
        lives_s = lifetime_s(recall.task, question)
        entry = Entry(
            id=self._next_id,
            task=recall.task,
            wordings=[question],
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
        self._next_id += 1
        self._add(entry, [recall.vector])
        self.make_room(now_s)
        return self._counted(Lesson("stored", entry))

    def used(self, candidate: Recalled, now_s: float, *, agreed: bool = False) -> None:
        """Count that an entry answered, or helped to; ``agreed`` if the model said the same."""
        candidate.entry.hit(now_s)
        if agreed:
            candidate.entry.agree()
        self._put(candidate.entry)

    def judged(
        self,
        candidate: Recalled,
        now_s: float,
        *,
        right: bool,
        kind: str = "",
        way: str = "direct",
    ) -> None:
        """Take in what became of a use: right, or not what was asked."""
        candidate.entry.judge(candidate.log_odds, now_s, right=right)
        if way == "examples":
            candidate.entry.helped += right
            candidate.entry.idle += not right
        self.standing.note(way, kind, right=right)
        self._put(candidate.entry)

    def refit(self) -> None:
        """Fit the verifier to what was learned, and make new clusters where they are stale."""
        self.verifier.refit()
        if self._index.wants_rebuild:
            self._index = self._index.rebuilt()
        if self._store is not None:
            self._store.put_knowledge(
                self._index.centres, self.verifier.labels, self.verifier.rewordings.rows()
            )

    # -- what is let go of ---------------------------------------------------------------------

    def make_room(self, now_s: float) -> None:
        """Let go of the entries worth least until the memory is no larger than it may be."""
        if len(self.entries) > self.settings.entries:
            edge_alone = self.standing.chance("edge")
            for entry in to_evict(
                self.entries.values(), self.settings.entries, now_s, edge_alone=edge_alone
            ):
                self._remove(entry)
                if self._store is not None:
                    self._store.drop(entry.id)

    def internalise(self, entry: Entry, version: str, score: float) -> Ghost:
        """Leave a ghost where the edge's model has learned an entry; the archive keeps the rest."""
        vectors, ghost = self.vectors_of(entry), _ghost(entry, version, score)
        self._remove(entry)
        self._haunt(ghost, vectors[0])
        if self._store is not None:
            self._store.bury(entry, vectors, ghost)
        return ghost

    def shadow_of(self, entry: Entry, version: str, score: float) -> Ghost:
        """Leave a ghost beside an entry that stays, where the model has learned it."""
        vectors, ghost = self.vectors_of(entry), _ghost(entry, version, score)
        self._haunt(ghost, vectors[0])
        if self._store is not None:
            self._store.put_ghost(ghost, vectors[0])
        return ghost

    def restore(self, ghost: Ghost, entry: Entry, vectors: Sequence[Vector]) -> None:
        """Put an entry back whose ghost has failed."""
        self.drop_ghost(ghost)
        self._add(entry, vectors)

    def drop_ghost(self, ghost: Ghost) -> None:
        """Let go of a ghost: the model does not know it any more."""
        if self.ghosts.pop(ghost.id, None) is not None:
            self._ghost_index.remove(ghost.id)
            if self._store is not None:
                self._store.forget(ghost.id)

    def forget(self, entries: Iterable[int]) -> int:
        """Forget entries with their ghosts and what the archive has of them; return how many."""
        count = 0
        for entry_id in list(entries):
            entry, ghost = self.entries.get(entry_id), self.ghosts.pop(entry_id, None)
            count += entry is not None or ghost is not None
            if entry is not None:
                self._remove(entry)
            self._ghost_index.remove(entry_id)
            if self._store is not None:
                self._store.forget(entry_id)
        return count

    def vectors_of(self, entry: Entry) -> list[Vector]:
        """Return the vectors of an entry's wordings."""
        return [
            self._index.vector(entry.id * WORDINGS_STEP + place).copy()
            for place in range(len(entry.wordings))
        ]

    @property
    def vectors(self) -> int:
        """How many vectors are searched."""
        return len(self._index)

    # -- inside --------------------------------------------------------------------------------

    def _second_opinion(self, recall: Recall, best: Recalled, answer: str, now_s: float) -> Lesson:
        """Count an answer to a question that is known; another wording of it is kept."""
        entry = best.entry
        entry.vote(answer)
        entry.hit(now_s)
        place = entry.add_wording(recall.question.text)
        if place is not None:
            self._index.add(entry.id * WORDINGS_STEP + place, recall.vector)
        self._put(entry)
        if entry.state == "quarantined":
            return Lesson("conflict", entry, "its answers disagree")
        return Lesson("confirmed", entry)

    def _teach(self, asked: Question, best: Recalled, *, same: bool, known: bool) -> None:
        """Let the verifier learn from an answer; a slip of the cloud is no other question."""
        if best.exact or best.likeness.guard or best.likeness.names < 1.0:
            return
        wording = read_question(best.entry.wordings[best.wording])
        self.verifier.rewordings.note(asked, wording, same=same)
        if same or not known:
            self.verifier.note(best.likeness, same=same)

    def _ghost_of(self, asked: Question, vector: Vector, task: Task, owner: str) -> Ghost | None:
        names = _hash(asked)
        for key, cosine in self._ghost_index.search(vector, _GHOSTS_CHECKED):
            ghost = self.ghosts[key]
            if (
                cosine >= _GHOST
                and (ghost.names, ghost.task, ghost.owner) == (names, task, owner)
                and self._same_kind(asked, ghost.template)
            ):
                return ghost
        return None

    def _same_kind(self, asked: Question, template: str) -> bool:
        """Return whether a question without its names asks for what a ghost did."""
        if asked.masked == template:
            return True
        known = read_question(template)
        bare = read_question(asked.masked)
        return (
            not difference(bare, known)
            and self.verifier.rewordings.share_of(asked.masked, template) >= _KNOWN_REWORDING
        )

    def _add(self, entry: Entry, vectors: Sequence[Vector]) -> None:
        self.entries[entry.id] = entry
        for place, vector in enumerate(vectors):
            self._index.add(entry.id * WORDINGS_STEP + place, vector)
        self._put(entry)

    def _remove(self, entry: Entry) -> None:
        del self.entries[entry.id]
        for place in range(len(entry.wordings)):
            self._index.remove(entry.id * WORDINGS_STEP + place)

    def _haunt(self, ghost: Ghost, vector: Vector) -> None:
        self.ghosts[ghost.id] = ghost
        self._ghost_index.add(ghost.id, vector)

    def _put(self, entry: Entry) -> None:
        if self._store is not None and entry.id in self.entries:
            self._store.put(entry, self.vectors_of(entry))

    def _counted(self, learned: Lesson) -> Lesson:
        self.counts[learned.outcome] += 1
        return learned

    def _load(self, store: MemoryStore) -> None:
        loaded = store.load()
        self.entries = {entry.id: entry for entry in loaded.entries}
        keys = [
            entry.id * WORDINGS_STEP + place
            for entry in loaded.entries
            for place in range(len(entry.wordings))
        ]
        if keys:
            rows, ids = np.stack(loaded.vectors), np.array(keys, np.int64)
            if loaded.centres is None:
                self._index = build(ids, rows)
            else:
                self._index = fill(ClusterIndex(rows.shape[1], loaded.centres), ids, rows)
        for ghost, vector in zip(loaded.ghosts, loaded.ghost_vectors, strict=True):
            self.ghosts[ghost.id] = ghost
            self._ghost_index.add(ghost.id, vector)
        self.verifier.take(loaded.labels)
        self.verifier.rewordings.take(loaded.rewordings)
        self.verifier.refit()
        self._next_id = 1 + max([0, *self.entries, *self.ghosts])


def _ghost(entry: Entry, version: str, score: float) -> Ghost:
    asked = read_question(entry.question)
    return Ghost(
        id=entry.id,
        task=entry.task,
        template=asked.masked,
        names=_hash(asked),
        version=version,
        score=score,
        owner=entry.owner,
    )


def _hash(asked: Question) -> str:
    """Return what tells the names and numbers of a question from others, and not which they are."""
    parts = "\0".join((*sorted(asked.name_words), "", *asked.numbers))
    return hashlib.sha256(parts.encode()).hexdigest()[:24]
