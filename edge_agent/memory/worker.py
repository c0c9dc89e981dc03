"""The one thread that touches a running memory: vectors, look-ups and lessons are its business."""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from edge_agent.memory.answers import answer_of
from edge_agent.memory.assembler import SURELY, assemble
from edge_agent.memory.fast_path import agree
from edge_agent.memory.memory import Memory
from edge_agent.memory.offers import encode_offer
from edge_agent.memory.recall import situation_of
from edge_agent.memory.taking_over import take_over
from edge_agent.nights.plan import may_be_learned
from shared.messages import Provenance
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from edge_agent.memory.assembler import Assembled
    from edge_agent.memory.entries import Entry
    from edge_agent.memory.index import Vector
    from edge_agent.memory.offers import EntryOffer
    from edge_agent.memory.recall import Recall
    from edge_agent.memory.retriever import Recalled
    from edge_agent.memory.router import Decision, Situation
    from edge_agent.memory.router import Way as RouterWay
    from edge_agent.memory.settings import MemorySettings
    from edge_agent.memory.store import MemoryStore
    from shared.messages import Way
    from shared.runtimes import ExampleRoom
    from shared.tasks import Answer, Request, Task

_log = get_logger()
_Value = TypeVar("_Value")
_VECTORS: Final = 1_000
_LIKELIER: Final = 0.5
"""Below this a remembered answer is no better than the model's, whoever can be asked."""
_DRAWN: Final = 5
"""Of so many times as many ghosts those asked for most are probed: hot ones have more turns."""
_REFIT: Final = 200
"""Lessons after which the verifier is fitted again."""


class LookUp(NamedTuple):
    """A request, whose memory it is looked up in, and the versions whose answers count."""

    request: Request
    owner: str
    versions: Collection[str]
    room: ExampleRoom | None = None
    """What the edge's model has for examples; None where it takes none."""
    open: bool = True
    """Whether anybody above can be asked."""


class Remembered(NamedTuple):
    """A remembered answer, how likely it is right, and who gave it."""

    answer: Answer
    chance: float
    source: Provenance
    makeshift: bool = False
    """Whether it is given only because nobody above can be asked."""


class Shown(NamedTuple):
    """Examples for the edge's own model, the candidate that is likeliest the question, and of whom.

    ``chance`` is how likely the model is right with them.
    """

    assembled: Assembled
    best: Recalled
    chance: float
    source: Provenance

    def refuted(self, answer: str) -> bool:
        """Return whether the model said another thing than an entry that is surely the question."""
        return self.best.same >= SURELY and not agree(answer, self.best.entry.answer)


class TakenLesson(NamedTuple):
    """What became of an answer from above, and the offer of the entry that it has made stable."""

    outcome: str
    offer: bytes = b""


class _Weighed(NamedTuple):
    """What a question brought to mind, the way that it goes, and the entry to go by, if any."""

    recall: Recall
    situation: Situation
    decision: Decision
    best: Recalled | None

    @property
    def way(self) -> RouterWay:
        return self.decision.way


class FromAbove(NamedTuple):
    """An answer from above; ``said`` is what we answered, of the model's own or in a check.

    It is empty where that came to no answer: a text without an end. None where nothing was said.
    """

    asked: LookUp
    answer: str
    model: str
    version: str
    said: str | None
    way: Way = "memory"


class MemoryWorker:
    """A memory and its thread; ``find`` and ``learn`` are for ``do`` to run there."""

    def __init__(
        self,
        settings: MemorySettings,
        dimensions: int,
        embed: Callable[[str], Vector],
        store: MemoryStore,
    ) -> None:
        self.memory = Memory(settings, dimensions=dimensions, store=store)
        self._embed = lru_cache(_VECTORS)(embed)
        self._thread = ThreadPoolExecutor(1, "memory")

    def embed(self, text: str) -> Vector:
        """Return the vector of a text; one that was made lately is not made again."""
        vector: Vector = self._embed(text)
        return vector

    def do(self, work: Callable[..., _Value], *arguments: object) -> asyncio.Future[_Value]:
        """Do something with the memory in its thread, after all that was asked before."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, partial(work, *arguments))

    async def close(self) -> None:
        """Do what waits, and stop."""
        try:
            await self.do(self._finish)
        finally:
            await asyncio.to_thread(self._thread.shutdown)

    # -- in the thread -------------------------------------------------------------------------

    def _finish(self) -> None:
        self.memory.refit()
        self.memory.write_day(time.time())

    def find(self, asked: LookUp) -> Remembered | Shown | None:
        """Return the answer that is remembered, if it may be given again; or good examples.

        What was asked in the same words is found by them; only the rest needs a vector.
        """
        found = self._weigh(asked, self._by_words(asked))
        if found.way != "direct":
            found = self._weigh(asked, self._by_vector(asked))
        if found.best is not None and found.way == "direct":
            return self._given(asked, found, found.best)
        if found.best is not None and found.way == "examples" and asked.room is not None:
            return self._shown(asked, found, found.best, asked.room)
        return None

    def _weigh(self, asked: LookUp, recall: Recall) -> _Weighed:
        room, standing = asked.room is not None, self.memory.standing
        situation = situation_of(recall, standing, examples=room, cloud_open=asked.open)
        decision = self.memory.decide(situation)
        unlikely = decision.degraded and decision.chance < _LIKELIER
        return _Weighed(recall, situation, decision, None if unlikely else recall.best)

    def _given(self, asked: LookUp, found: _Weighed, best: Recalled) -> Remembered:
        entry = best.entry
        self.memory.used(best, time.time())
        answer = answer_of(asked.request.task, entry.answer)
        source = Provenance("memory", entry.model, entry.version, (entry.id,))
        return Remembered(answer, found.situation.direct or 0.0, source, found.decision.degraded)

    def _shown(
        self, asked: LookUp, found: _Weighed, best: Recalled, room: ExampleRoom
    ) -> Shown | None:
        chosen = self.memory.examples(found.recall, time.time())
        assembled = assemble(chosen, asked.request, room, self.memory.settings.example_tokens)
        if not assembled.examples:
            return None
        _log.debug("examples shown", entries=str(assembled))
        source = Provenance("examples", entries=assembled.entries)
        return Shown(assembled, best, found.situation.examples or 0.0, source)

    def answered(self, shown: Shown, answer: str) -> None:
        """Take note of what the model said after examples."""
        agreed = agree(answer, shown.best.entry.answer)
        self.memory.used(shown.best, time.time(), agreed=agreed)

    def learn(self, given: FromAbove) -> TakenLesson:
        """Take an answer from above in, and return what became of it."""
        taken = self._lesson(given)
        if sum(self.memory.counts.values()) % _REFIT == 0:
            self.memory.refit()
        return taken

    def _lesson(self, given: FromAbove) -> TakenLesson:
        recall, now_s = self._by_vector(given.asked), time.time()
        if given.said is not None and given.way == "model":
            outcome = self.memory.judge_ghost(recall, given.said, given.answer)
            if outcome is not None:
                return TakenLesson(outcome)
        elif given.said and recall.best is not None:
            right, kind = agree(given.answer, given.said), recall.question.masked
            way = "direct" if given.way == "memory" else "examples"
            self.memory.judged(recall.best, now_s, right=right, kind=kind, way=way)
        lesson = self.memory.learn(
            recall, given.answer, now_s, model=given.model, version=given.version
        )
        if self.memory.settings.share and lesson.settled and lesson.entry is not None:
            return TakenLesson(lesson.outcome, encode_offer(lesson.entry))
        return TakenLesson(lesson.outcome)

    def take_offer(self, offer: EntryOffer, versions: Collection[str]) -> str:
        """Take an entry of another edge in, if its answer would count here."""
        entry = offer.entry(now_s := time.time())
        if offer.task not in self.memory.settings.tasks or not self.memory.would_count(
            entry, now_s, versions
        ):
            return "refused"
        (outcome,) = take_over(self.memory, [entry], self.embed, now_s, versions)
        return outcome

    def learnable(self, task: Task, since_s: float) -> tuple[int, int]:
        """Return how many entries could be learned, and how many of them came since then."""
        able = [each for each in self.memory.entries.values() if may_be_learned(each, task)]
        return len(able), sum(each.created_s > since_s for each in able)

    def internalise(self, learned: Mapping[int, float], taught: Collection[int], by: str) -> None:
        """Leave ghosts of entries that the model ``by`` has learned, of all that it was taught."""
        for entry_id in taught:
            entry = self.memory.entries.get(entry_id)
            if entry is not None and entry_id in learned:
                self.memory.internalise(entry, by, learned[entry_id])
            elif entry is not None:
                self.memory.not_learned(entry)

    def to_probe(self, share: float) -> list[Entry]:
        """Return a share of what was learned, of more that are drawn the most asked for."""
        ghosts = list(self.memory.ghosts.values())
        count, now_s = math.ceil(share * len(ghosts)), time.time()
        drawn = random.sample(ghosts, min(len(ghosts), _DRAWN * count))
        buried = filter(None, map(self.memory.buried, drawn))
        return heapq.nlargest(count, buried, key=lambda entry: entry.heat(now_s))

    def probed(self, entry: Entry, said: str) -> bool:
        """Return whether the model still knows what was learned; what it lost comes back."""
        ghost = self.memory.ghosts.get(entry.id)
        right = agree(entry.answer, said)
        if ghost is not None and right:
            ghost.ok += 1
        elif ghost is not None:
            self.memory.restore(ghost)
        return right

    def _by_words(self, asked: LookUp) -> Recall:
        task, text = asked.request.task, asked.request.content
        return self.memory.asked_before(
            text, time.time(), task=task, owner=asked.owner, versions=asked.versions
        )

    def _by_vector(self, asked: LookUp) -> Recall:
        task, text = asked.request.task, asked.request.content
        vector = self.embed(text)
        return self.memory.recall(
            text, vector, time.time(), task=task, owner=asked.owner, versions=asked.versions
        )
