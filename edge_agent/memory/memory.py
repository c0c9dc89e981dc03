"""The memory of an edge: recall what is like a question, learn what came from above, let go.

Whoever calls embeds the question and tells the time, so that nothing here waits or loads a model.
Changes go to the store as they are made, if there is one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.memory.checks import Checks
from edge_agent.memory.days import Days
from edge_agent.memory.eligible import Eligible
from edge_agent.memory.eviction import to_evict
from edge_agent.memory.forgetting import Forgetting
from edge_agent.memory.ghosts import Ghosts
from edge_agent.memory.lessons import Lessons
from edge_agent.memory.recall import NO_VECTOR, Recall
from edge_agent.memory.retriever import WORDINGS_STEP, Retriever, examples
from edge_agent.memory.router import Decision, Situation, by_rule, by_worth
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.shelf import Shelf
from edge_agent.memory.standing import Standing
from edge_agent.memory.twins import join_twins
from edge_agent.memory.verifier import QuestionVerifier
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from edge_agent.memory.entries import Entry, Ghost
    from edge_agent.memory.index import Vector
    from edge_agent.memory.lessons import Lesson, Outcome
    from edge_agent.memory.retriever import Recalled
    from edge_agent.memory.store import MemoryStore
    from shared.tasks import Task


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
        self.verifier = QuestionVerifier()
        self.standing = Standing({"edge": 0.3, "examples": 0.9, "direct": 0.95})
        self.counts: Counter[str] = Counter()
        """What became of the answers from above, by outcome."""
        self.checks = Checks()
        self._told_s = 0.0  # the moment that was told last
        self.days = Days(store, day_s=self.settings.day_s)
        self._store = store
        self._shelf = Shelf(dimensions, store)
        self._ghosts = Ghosts(dimensions, self.verifier.rewordings, store)
        self._forgetting = Forgetting(
            self._shelf, self._ghosts, self.verifier.rewordings, store, self.settings.not_before_s
        )
        if store is not None:
            self._load(store)
        next_id = 1 + max([0, *self.entries, *self.ghosts])
        self._lessons = Lessons(self._shelf, self._ghosts, self.verifier, next_id, self._restored)
        self._retriever = Retriever(self.verifier)

    @property
    def entries(self) -> dict[int, Entry]:
        """What is remembered, by id."""
        return self._shelf.entries

    @property
    def ghosts(self) -> dict[int, Ghost]:
        """What the edge's model has learned, by the id of the entry it was."""
        return self._ghosts.known

    @property
    def not_before_s(self) -> float:
        """The moment before which no answer counts."""
        return self._forgetting.not_before_s

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
        self._told_s = now_s
        asked = read_question(text)
        vector = np.asarray(np.asarray(vector, np.float16), np.float32)  # as it is on the disk
        eligible = self._eligible(task, owner, now_s, versions)
        index = self._shelf.index
        found = self._retriever.candidates(asked, vector, index, self.entries, eligible)
        ghost = self._ghosts.find(asked, vector, task, eligible.owner)
        return Recall(asked, vector, task, eligible.owner, found, ghost)

    def asked_before(
        self,
        text: str,
        now_s: float,
        *,
        task: Task = "generate",
        owner: str = "",
        versions: Collection[str] | None = None,
    ) -> Recall:
        """Return what was asked in the words of a question: that needs no vector, and has none."""
        asked = read_question(text)
        eligible = self._eligible(task, owner, now_s, versions)
        found = self._retriever.asked_before(asked, self._shelf.asked_as(asked.normal), eligible)
        return Recall(asked, NO_VECTOR, task, eligible.owner, found, None)

    def would_count(self, entry: Entry, now_s: float, versions: Collection[str]) -> bool:
        """Return whether an entry of another memory would answer here."""
        return self._eligible(entry.task, entry.owner, now_s, versions).counts(entry)

    def _eligible(
        self, task: Task, owner: str, now_s: float, versions: Collection[str] | None
    ) -> Eligible:
        return Eligible(
            task,
            owner if self.settings.owners == "apart" else "",
            now_s,
            versions or (),
            self.not_before_s,
            self.settings.only_version,
        )

    def decide(self, situation: Situation) -> Decision:
        """Return the way, by the rule that the settings name."""
        return by_worth(situation) if self.settings.rule == "worth" else by_rule(situation)

    def examples(self, recall: Recall, now_s: float) -> list[Recalled]:
        """Return the examples worth showing to the edge's model."""
        return examples(recall.usable, now_s, self.settings.examples)

    # -- what is learned -----------------------------------------------------------------------

    def learn(
        self, recall: Recall, answer: str, now_s: float, *, model: str = "", version: str = ""
    ) -> Lesson:
        """Take in an answer from above: store it, or count it for or against what is known."""
        lesson = self._lessons.learn(recall, answer, now_s, model, version)
        self._lesson(lesson.outcome, now_s)
        self.make_room(now_s)
        return lesson

    def _restored(self) -> None:
        self.days.count(self._told_s, "restored")

    def _lesson(self, outcome: Outcome, now_s: float) -> Outcome:
        """Count what became of an answer from above."""
        self.counts[outcome] += 1
        self.days.count(now_s, f"lesson.{outcome}")
        return outcome

    def used(self, candidate: Recalled, now_s: float, *, agreed: bool = False) -> None:
        """Count that an entry answered, or helped to; ``agreed`` if the model said the same."""
        candidate.entry.hit(now_s)
        if agreed:
            candidate.entry.agree()
        self._shelf.put(candidate.entry)

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
        changed = self.standing.note(way, kind, right=right)
        self.checks.note(way, right=right)
        used = "memory" if way == "direct" else way
        self.days.count(now_s, f"right.{used}" if right else f"wrong.{used}")
        self._shelf.put(candidate.entry)
        if self._store is not None:
            self._store.put_checks(self.checks.counts)
            self._store.put_standing(changed)

    def refit(self) -> None:
        """Fit the verifier to what was learned, join what it knows to be one, mend the lists."""
        self.verifier.refit()
        join_twins(self._shelf, self._ghosts, self._lessons, self._forgetting)
        self.make_room(self._told_s)
        self._shelf.freshen()
        if self._store is not None:
            labels, rewordings = self.verifier.labels, self.verifier.rewordings.rows()
            self._store.put_knowledge(self._shelf.index.centres, labels, rewordings)

    # -- what is let go of ---------------------------------------------------------------------

    def make_room(self, now_s: float) -> None:
        """Let go of the entries worth least until the memory is no larger than it may be."""
        most, edge_alone = self.settings.entries, self.standing.chance("edge")
        if len(self.entries) <= most:
            return
        for entry in to_evict(self.entries.values(), most, now_s, edge_alone=edge_alone):
            self._shelf.take(entry)
            if self._store is not None:
                self._store.drop(entry.id)

    def internalise(self, entry: Entry, version: str, score: float) -> Ghost:
        """Leave a ghost where the edge's model has learned an entry; the archive keeps the rest."""
        self.days.count(self._told_s, "learned")
        return self._ghosts.bury(entry, self._shelf.take(entry), version, score)

    def not_learned(self, entry: Entry) -> None:
        """Count a night on which the edge's model was taught an entry in vain."""
        entry.nights += 1
        self._shelf.put(entry)

    def shadow_of(self, entry: Entry, version: str, score: float) -> Ghost:
        """Leave a ghost beside an entry that stays, where the model has learned it."""
        return self._ghosts.stand_beside(entry, self.vectors_of(entry)[0], version, score)

    def judge_ghost(self, recall: Recall, own: str, answer: str) -> Outcome | None:
        """Hold what the model said of what it has learned against the answer from above.

        Where they differ its entry is back, with a vote for that. None where nothing was learned.
        """
        outcome = self._lessons.judge_ghost(recall, own, answer)
        self.make_room(self._told_s)
        return None if outcome is None else self._lesson(outcome, self._told_s)

    def buried(self, ghost: Ghost) -> Entry | None:
        """Return the entry that a ghost was."""
        kept = self._ghosts.buried(ghost)
        return None if kept is None else kept[0]

    def restore(self, ghost: Ghost) -> Entry | None:
        """Put the entry of a ghost that has failed back, without making room; None for nothing."""
        return self._lessons.restore(ghost)

    def drop(self, entries: Iterable[int]) -> int:
        """Let go of entries, and keep what they taught of others; return how many."""
        return self._forgetting.drop(entries)

    def forget(self, entries: Iterable[int]) -> int:
        """Forget entries with their ghosts and what the archive has of them; return how many."""
        return self._forgetting.forget(entries)

    def begin_epoch(self, not_before_s: float) -> int:
        """Forget what was answered before a moment, for good; return how many entries."""
        return self._forgetting.begin_epoch(not_before_s)

    def everything(self) -> list[Entry]:
        """Return all entries, and those that the edge's model has learned, by id."""
        return self._forgetting.everything()

    def like(self, vector: Vector) -> list[Entry]:
        """Return the entries whose wordings are nearest to a vector, each once."""
        found = self._shelf.index.search(vector)
        ids = dict.fromkeys(key // WORDINGS_STEP for key, _ in found)
        return [self.entries[entry_id] for entry_id in ids]

    def keep(self, entry: Entry, vectors: Sequence[Vector], now_s: float) -> None:
        """Keep an entry of another memory, with a vector for each of its wordings."""
        self._lessons.store(entry, vectors)
        self.make_room(now_s)

    def vectors_of(self, entry: Entry) -> list[Vector]:
        """Return the vectors of an entry's wordings."""
        return self._shelf.vectors_of(entry)

    def write_day(self, now_s: float) -> None:
        """Write what was counted today."""
        size = sum(entry.bytes for entry in self.entries.values())
        self.days.write(now_s, len(self.entries), len(self.ghosts), size)

    def _load(self, store: MemoryStore) -> None:
        loaded = store.load()
        self.checks = Checks(loaded.checks)
        self.standing.take(loaded.standing)
        self._forgetting.not_before_s = max(self.not_before_s, loaded.not_before_s)
        self._shelf.take_in(loaded)
        self._ghosts.take_in(loaded)
        self.verifier.take(loaded.labels)
        self.verifier.rewordings.take(loaded.rewordings)
        self.verifier.refit()
