"""Rounds of a generator: steps of a token for each text that is under way.

A text joins as soon as a slot is free and the tokens of all that are under way allow it, in the
order of the queue. A round of steps is short: it ends when a text does, when somebody waits who may
join, or after ``ROUND_S``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import ModelFailed, PromptError
from shared.protocol.token_work import ROUND_S, TokenWork, left, to_read
from shared.runtimes.generations import has_room
from shared.serving.rounds import count
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.protocol.batch_queue import BatchQueue
    from shared.runtimes import Generation, Generator
    from shared.runtimes.model import Entry
    from shared.serving.rounds import Unanswered
    from shared.serving.watched_thread import WatchedThread
    from shared.tasks import Request
    from shared.telemetry.metrics import Metrics

_log = get_logger()


class _UnderWay(NamedTuple):
    waiting: Unanswered
    generation: Generation


class TokenRounds:
    """Texts that join and leave one by one."""

    def __init__(
        self,
        model: Generator,
        queue: BatchQueue[Unanswered],
        thread: WatchedThread,
        metrics: Metrics | None,
    ) -> None:
        self._model = model
        self._queue = queue
        self._thread = thread
        self._metrics = metrics
        self._running: list[_UnderWay] = []
        self._held: list[_UnderWay] = []
        """Are taken from the queue, and wait for others to leave them room."""
        self._ended: list[tuple[Unanswered, Entry]] = []
        self._looked = False
        self._joined: dict[int, Unanswered] = {}
        """Whoever is to be told, by the number of the object."""
        self._work = TokenWork()
        self._unmeasured_s = 0.0
        """Time of rounds in which prompts were read and nothing was written yet."""

    @property
    def under_way(self) -> bool:
        """Whether a text is being written, or has ended and nobody was told."""
        return bool(self._running or self._held or self._ended)

    @property
    def mean_weight(self) -> float:
        """Weight of a prompt, as a rule: tokens to write, and those to read by what they cost."""
        return self._work.mean

    def weigh(self, request: Request) -> float:
        """Return about how many tokens' work a request is."""
        return self._work.weigh(request.size_bytes, request.options.get("max_new_tokens"))

    def look(self) -> None:
        """Have the steps of this round end: somebody came, or leaves."""
        self._looked = True

    async def go_on(self, *, let_in: bool = True) -> None:
        """Let in whoever may join, make some steps, and settle what ended."""
        slots = max(self._model.at_once - len(self._running), 0)
        joining = self._queue.join(slots) if let_in and not self._held else []
        self._joined |= {id(waiting): waiting for waiting in joining}
        self._looked = False
        started_s = time.perf_counter()
        count(self._metrics, len(self._running) + len(joining), joining, started_s)
        try:
            made = await self._thread.run(lambda: self._round(joining))
        except BaseException:
            self._queue.end()
            raise
        self._unmeasured_s += time.perf_counter() - started_s
        if made:
            self._queue.measure_unit(self._unmeasured_s / made)
            self._unmeasured_s = 0.0
        ended, self._ended = self._ended, []
        self._queue.leave(len(ended), self._left())
        for waiting, entry in ended:
            del self._joined[id(waiting)]
            waiting.settle(entry)

    def break_off(self, error: PromptError) -> None:
        """Answer with an error what is under way; the next step lets go of it."""
        for waiting in self._joined.values():
            waiting.settle(error)
        self._looked = True

    # -- in the model's thread -------------------------------------------------------------------

    def _round(self, joining: Sequence[Unanswered]) -> float:
        """Make some steps, and return how much work was done."""
        until_s = time.perf_counter() + ROUND_S
        for waiting in joining:
            self._begin(waiting)
        made = 0.0
        while self._running or self._held:
            made += self._step()
            if self._ended or self._looked or time.perf_counter() > until_s:
                break
        return made

    def _begin(self, waiting: Unanswered) -> None:
        """Take a request in hand; what cannot be answered has ended already."""
        entry: Entry
        try:
            generation = self._model.begin(waiting.request, deadline_s=waiting.deadline_s)
        except PromptError as error:
            entry = error
        except BaseException as error:  # noqa: BLE001 - whatever the engine raises
            _log.exception("the model raised", model=self._model.name)
            entry = ModelFailed(f"{type(error).__name__}: {error}")
        else:
            self._held.append(_UnderWay(waiting, generation))
            return
        self._ended.append((waiting, entry))

    def _step(self) -> float:
        """Make a token of every text that somebody waits for; return how much work was done.

        That a prompt was read counts when its text begins.
        """
        self._drop_unwanted()
        while self._held and self._fits(self._held[0]):
            self._running.append(self._held.pop(0))
        if not self._running:
            return 0.0
        running = self._running
        generations = [each.generation for each in running]
        written = [generation.written for generation in generations]
        entries = self._entries(generations)
        self._thread.alive()
        self._running = []
        for each, entry in zip(running, entries, strict=True):
            if entry is None:
                self._running.append(each)
            else:
                self._end(each, entry)
        return sum(
            (each.generation.written - before)
            + (0.0 if before else to_read(each.waiting.request.size_bytes))
            for each, before in zip(running, written, strict=True)
            if each.generation.written > before
        )

    def _entries(self, generations: Sequence[Generation]) -> Sequence[Entry | None]:
        try:
            entries = self._model.step(generations)
            fault = f"the model gave {len(entries)} answers to {len(generations)} texts"
        except BaseException as error:  # noqa: BLE001 - whatever the engine raises
            _log.exception("the model raised", model=self._model.name, prompts=len(generations))
            entries, fault = [], f"{type(error).__name__}: {error}"
        if len(entries) == len(generations):
            return entries
        return [ModelFailed(fault) for _ in generations]

    def _drop_unwanted(self) -> None:
        """Let go of texts that nobody waits for any more."""
        for texts in (self._running, self._held):
            for each in tuple(texts):
                if each.waiting.done():
                    texts.remove(each)
                    self._end(each, ModelFailed("nobody waits for it"))

    def _end(self, each: _UnderWay, entry: Entry) -> None:
        each.generation.close()
        if not isinstance(entry, PromptError):
            self._work.ended(each.generation.written)
        self._ended.append((each.waiting, entry))

    def _fits(self, one: _UnderWay) -> bool:
        running = [each.generation for each in self._running]
        return not running or has_room(self._model, running, one.generation)

    def _left(self) -> float:
        """Return about how much work is left for what is under way."""
        under_way = (*self._running, *self._held)
        return sum(left(each.waiting.weight, each.generation.written) for each in under_way)
