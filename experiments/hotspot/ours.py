"""The memory as it is shipped, in the place of a system of the study.

Recall, verifier, router, fast path, eviction and ghosts are those of ``edge_agent.memory``;
scripted are the model that answers and what a night teaches it. Ablations switch parts off.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.memory.eviction import to_learn
from edge_agent.memory.fast_path import agree
from edge_agent.memory.memory import Memory
from edge_agent.memory.recall import situation_of
from edge_agent.memory.settings import MemorySettings
from experiments.hotspot.showing import by_recalled
from experiments.hotspot.systems import SystemAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.memory.entries import Entry
    from edge_agent.memory.recall import Recall
    from edge_agent.memory.retriever import Recalled
    from experiments.hotspot.cloud import RecordedCloud
    from experiments.hotspot.edge import ScriptedEdge
    from experiments.hotspot.facts import HotFact
    from experiments.hotspot.settings import HotspotSettings
    from experiments.hotspot.systems import HotQuery

_LEAST_SURE: Final = 0.15
"""Below this the model's own doubt outweighs that it passed its test."""
_PLAIN_LIKENESS: Final = 0.9


class MemoryParts(msgspec.Struct, frozen=True, kw_only=True):
    """What of the memory is switched on; the ablations leave one out."""

    nights: bool = True
    eviction: bool = True
    """Whether what was learned leaves the index."""
    awareness: bool = True
    """Whether the router knows what was learned."""
    verifier: bool = True
    replay: bool = True
    lru: bool = False


class MemorySystem:
    """An edge that remembers, and learns at night."""

    def __init__(
        self,
        cloud: RecordedCloud,
        edge: ScriptedEdge,
        texts: Mapping[str, HotFact],
        settings: HotspotSettings,
        width: int,
        parts: MemoryParts | None = None,
    ) -> None:
        self.cloud, self.edge, self.parts = cloud, edge, parts or MemoryParts()
        self._texts, self._settings = texts, settings
        self.memory = Memory(MemorySettings(entries=settings.capacity), dimensions=width)
        self._draw = random.Random(f"memory {settings.seed}")  # noqa: S311 - guards nothing
        self._taught: set[int] = set()

    @property
    def entries(self) -> int:
        """Entries in the index."""
        return len(self.memory.entries)

    def warm(self, query: HotQuery) -> None:
        """Learn what the cloud said."""
        self._learn(self._recall(query), query)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Recall, decide, answer, learn."""
        recall = self._recall(query)
        decision = self.memory.decide(
            situation_of(
                recall,
                self.memory.standing,
                cloud=1.0 - self._settings.cloud_wrong,
                cloud_open=query.open,
            )
        )
        best = recall.best
        if decision.way == "direct" and best is not None:
            given = self._direct(query, recall, best)
        elif decision.way == "examples" and best is not None:
            given = self._by_examples(query, recall, best)
        elif decision.way == "edge":
            given = self._alone(query, recall)
        else:
            given = self._up(query, recall)
        local = given.way != "cloud"
        return given._replace(
            degraded=given.degraded or decision.degraded,
            chance=decision.chance if local else None,
        )

    def night(self, day: int, now_s: float) -> None:
        """Refit, watch the ghosts, learn, and let what was learned go."""
        memory = self.memory
        memory.refit()
        self.edge.forget(day)
        if not self.parts.replay:
            self._lose_half()
        self._watch(now_s)
        if not self.parts.nights:
            return
        chosen = [
            entry
            for entry in to_learn(
                memory.entries.values(), 3 * self._settings.learned_a_night, now_s
            )
            if entry.id not in self._taught
        ]
        known = [entry for entry in chosen if self._knows(entry)]
        new = [entry for entry in chosen if not self._knows(entry)]
        new = new[: self._settings.learned_a_night]
        self.edge.learn([(self._fact(entry), entry.answer) for entry in new], day)
        for entry in [*known, *new]:
            if self._knows(entry):
                self._internalise(entry, day)
            else:
                entry.nights += 1

    # -- the ways ------------------------------------------------------------------------------

    def _recall(self, query: HotQuery) -> Recall:
        recall = self.memory.recall(query.text, query.vector, query.now_s)
        if not self.parts.awareness:
            recall = recall._replace(ghost=None)
        if not self.parts.verifier:
            recall = recall._replace(candidates=[_by_cosine(each) for each in recall.candidates])
        return recall

    def _direct(self, query: HotQuery, recall: Recall, best: Recalled) -> SystemAnswer:
        self.memory.used(best, query.now_s)
        calls = self._shadow(query, recall, best, best.entry.answer, "direct")
        fact = self._fact(best.entry).number
        return SystemAnswer(best.entry.answer, "direct", calls, 0, fact)

    def _by_examples(self, query: HotQuery, recall: Recall, best: Recalled) -> SystemAnswer:
        shown = self.memory.examples(recall, query.now_s)
        facts = {each.entry.id: self._fact(each.entry).number for each in shown}
        own = by_recalled(self.edge, query, shown, facts)
        if not agree(own.answer, best.entry.answer) and query.open:
            return self._up(query, recall, own.edge_tokens)
        self.memory.used(best, query.now_s, agreed=True)
        calls = self._shadow(query, recall, best, own.answer, "examples")
        return own._replace(cloud_calls=calls, used_fact=facts[shown[0].entry.id])

    def _alone(self, query: HotQuery, recall: Recall) -> SystemAnswer:
        own = self.edge.closed_book(query.fact, query.text, query.at)
        if own.confidence < _LEAST_SURE and query.open:
            given = self._up(query, recall, own.tokens)
            self.memory.judge_ghost(recall, own.answer, given.answer)
            return given
        calls = 0
        if query.open and self._draw.random() < self._settings.shadow:
            said = self.cloud.ask(query.fact, query.text).answer
            calls, right = 1, agree(said, own.answer)
            self.memory.judge_ghost(recall, own.answer, said)
            self.memory.standing.note("edge", recall.question.masked, right=right)
        return SystemAnswer(own.answer, "edge", calls, own.tokens)

    def _up(self, query: HotQuery, recall: Recall, tokens: int = 0) -> SystemAnswer:
        if not query.open:
            own = self.edge.closed_book(query.fact, query.text, query.at)
            return SystemAnswer(own.answer, "edge", 0, tokens + own.tokens, degraded=True)
        answer = self._learn(recall, query)
        return SystemAnswer(answer, "cloud", 1, tokens)

    def _learn(self, recall: Recall, query: HotQuery) -> str:
        said = self.cloud.ask(query.fact, query.text)
        if self.parts.lru:
            self._make_room_by_age()
        self.memory.learn(recall, said.answer, query.now_s, model=said.model, version="1")
        return said.answer

    def _shadow(
        self, query: HotQuery, recall: Recall, best: Recalled, answer: str, way: str
    ) -> int:
        """Ask the cloud besides for a few, after the user has the answer; return the calls."""
        if not query.open or self._draw.random() >= self._settings.shadow:
            return 0
        said = self.cloud.ask(query.fact, query.text).answer
        kind = recall.question.masked
        self.memory.judged(best, query.now_s, right=agree(said, answer), kind=kind, way=way)
        self.memory.learn(recall, said, query.now_s)
        return 1

    # -- the night -----------------------------------------------------------------------------

    def _fact(self, entry: Entry) -> HotFact:
        return self._texts[entry.question]

    def _knows(self, entry: Entry) -> bool:
        """Return whether the model says what the entry says, asked without it."""
        fact = self._fact(entry)
        return agree(self.edge.closed_book(fact, entry.question, -1).answer, entry.answer)

    def _internalise(self, entry: Entry, day: int) -> None:
        if not self.parts.awareness:
            if self.parts.eviction:
                self.memory.drop([entry.id])
            return
        if self.parts.eviction:
            self.memory.internalise(entry, f"night {day}", 1.0)
        else:
            self._taught.add(entry.id)
            self.memory.shadow_of(entry, f"night {day}", 1.0)

    def _watch(self, now_s: float) -> None:
        """Probe a few ghosts; one that the model does not know any more gives its entry back."""
        for ghost in list(self.memory.ghosts.values()):
            if self._draw.random() >= self._settings.probed_a_night:
                continue
            entry = self.memory.buried(ghost)
            if entry is not None and not self._knows(entry):
                self.memory.restore(ghost)
        self.memory.make_room(now_s)

    def _lose_half(self) -> None:
        """Without replay a night costs half of what the nights before taught."""
        for number in list(self.edge.learned):
            if self._draw.random() < 0.5:  # noqa: PLR2004
                del self.edge.learned[number]

    def _make_room_by_age(self) -> None:
        """Let go of what was used least lately, whatever it is worth."""
        known = self.memory.entries
        while len(known) >= self._settings.capacity:
            self.memory.drop([min(known.values(), key=lambda entry: entry.used_s).id])


def _by_cosine(recalled: Recalled) -> Recalled:
    """Return a candidate that is the same question by its cosine alone."""
    cosine = recalled.likeness.cosine
    same = 1.0 if recalled.exact or cosine >= _PLAIN_LIKENESS else cosine * 0.9
    return recalled._replace(same=same, likeness=recalled.likeness._replace(guard=""))
