"""A memory in a running edge agent: looked up before the model, told of what came from above.

A question that the memory's thread does not get to in time is the model's, as if there were none.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.memory.above import AnswersAbove
from edge_agent.memory.answers import owner_of, text_of, varies
from edge_agent.memory.asking_again import AskingAgain
from edge_agent.memory.days import count_above, count_judged
from edge_agent.memory.desk import MemoryDesk
from edge_agent.memory.door import MemoryDoor
from edge_agent.memory.recall_solver import RecallSolver
from edge_agent.memory.sharing import MemorySharing
from edge_agent.memory.worker import FromAbove, LookUp, MemoryWorker, Shown
from shared.messages import Failure, Result, Scored
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edge_agent.memory.checks import Checks
    from edge_agent.memory.entries import Entry
    from edge_agent.memory.memory import Memory
    from edge_agent.memory.settings import MemorySettings
    from edge_agent.memory.store import MemoryStore
    from edge_agent.memory.worker import Remembered, TakenLesson
    from shared.agent.build import AgentParts
    from shared.cascade.tier import Escalation
    from shared.messages import Prompt
    from shared.runtimes import ExampleRoom
    from shared.runtimes.onnx_embedder import OnnxEmbedder
    from shared.serving.solver import ModelRunner, Solver
    from shared.tasks import Request, Task
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_WAITING: Final = 64
"""Look-ups under way; more would only wait."""
_LESSONS: Final = 10_000


class Wing:
    """The memory of an agent, between its model and its way up."""

    def __init__(
        self, settings: MemorySettings, embedder: OnnxEmbedder, store: MemoryStore
    ) -> None:
        self._settings = settings
        # Owners are told apart here, where options part memories, too.
        apart = msgspec.structs.replace(settings, owners="apart")
        self._worker = MemoryWorker(
            apart, embedder.dimensions, lambda text: embedder.embed([text])[0], store
        )
        desk = MemoryDesk(self._worker.memory, store, self._worker.embed, running=True)
        self._door = MemoryDoor(self._worker, desk, store)
        self._sharing = MemorySharing(self._worker, self._versions) if settings.share else None
        self._again = AskingAgain()
        self._above: AnswersAbove | None = None
        self._metrics: Metrics | None = None
        self._under_way = 0
        self._lessons = 0

    @property
    def memory(self) -> Memory:
        """What is remembered; to be changed in its own thread alone."""
        return self._worker.memory

    @property
    def checks(self) -> Checks:
        """How often what was remembered was wrong."""
        return self._worker.memory.checks

    def before(self, runner: ModelRunner) -> Solver:
        """Return a solver that stands before the one of the model."""
        return RecallSolver(self, runner)

    def join(self, parts: AgentParts) -> None:
        """Take up the agent: its way up, which knows who answers there, and its metrics."""
        metrics = parts.metrics
        self._above, self._metrics = AnswersAbove(parts.station.above), metrics
        self._again.join(parts)
        metrics.entries.set_function(lambda: len(self.memory.entries))
        self._show(metrics)

    async def open(self, parts: AgentParts) -> None:
        """Hear what people ask of the memory, epochs, and what other edges offer."""
        agent = parts.station.agent
        await self._door.open(parts.bus, parts.topics, agent)
        if self._sharing is not None:
            await self._sharing.open(parts.bus, parts.topics, agent)

    async def recall(
        self, request: Request, origin: str, room: ExampleRoom | None
    ) -> Scored | Shown | None:
        """Return what is known to answer a request, scored; or examples for the model; or nothing.

        ``room`` is what the model has for examples, if it takes any.
        """
        if request.task not in self._settings.tasks or varies(request):
            return None
        started_s = time.perf_counter()
        room = room if self._settings.examples else None
        found = await self._look_up(self._asked(request, origin)._replace(room=room))
        if found is None:
            return None
        if isinstance(found, Shown):
            self._count(request.task, "examples")
            return found
        check = found.makeshift or self.drawn()
        self._count(request.task, "check" if check else "given")
        elapsed_us = int((time.perf_counter() - started_s) * 1e6)
        return Scored(
            found.answer,
            found.chance,
            elapsed_us,
            confidence_kind="remembered",
            source=found.source,
            check=check,
            chance=found.chance,
        )

    def shown(self, shown: Shown, scored: Scored) -> Scored:
        """Take note of what the model said after examples, and return that with where it is from.

        There is no chance that it is right where it says another thing than what is surely known.
        """
        answer = text_of(scored.answer)
        noted = self._worker.do(self._worker.answered, shown, answer)
        noted.add_done_callback(partial(_broken, "what the model said after examples"))
        chance = 0.0 if shown.refuted(answer) else shown.chance
        return msgspec.structs.replace(
            scored, source=shown.source, check=self.drawn(), chance=chance
        )

    def observe(self, escalation: Escalation, result: Result) -> None:
        """Learn from a final answer that came from above; returns at once.

        Of one that is our own, because nobody above could be reached, the question is asked again
        when somebody can: each answer from above brings the next one out.
        """
        prompt, answer = escalation.prompt, text_of(result.outcome)
        ours = prompt.task in self._settings.tasks
        above = self._above is not None and self._above.gave(result.tier)
        if ours and above:
            clock_s = None if self._again.waiting.asked(prompt) else time.monotonic()
            count_above(self.memory.days, escalation, result, time.time(), clock_s)
            self._write_day()
        if not ours or varies(prompt.request):
            return
        if result.degraded:
            self._again.waiting.note(escalation)
        if result.degraded or self._above is None or not above:
            return
        self._again.go_on()
        if not answer or self._lessons >= _LESSONS:
            return
        model, version = self._above.model_of(result.hops[-1].agent)
        seen = escalation.observation
        known = seen.check or seen.way == "model"
        own = escalation.local_result.outcome
        said = text_of(own) if known and not isinstance(own, Failure) else None
        asked = self._asked(prompt.request, self._again.waiting.origin_of(prompt))
        self._lessons += 1
        learned = self._worker.do(
            self._worker.learn, FromAbove(asked, answer, model, version, said, seen.way)
        )
        learned.add_done_callback(partial(self._learned, prompt.task))

    def witness(self, prompt: Prompt, decided: Result | Escalation) -> None:
        """Count a prompt that was judged into today's account."""
        if prompt.task in self._settings.tasks:
            count_judged(self.memory.days, decided, time.time())
            self._write_day()

    async def learnable(self, task: Task, since_s: float) -> tuple[int, int]:
        """Return how many entries could be learned, and how many of them came since then."""
        return await self._worker.do(self._worker.learnable, task, since_s)

    def note_night(self, told: Mapping[str, float | str]) -> None:
        """Keep what a night came to in today's account."""
        self.memory.days.note_night(time.time(), told)
        self._write_day_now()

    async def internalise(
        self, learned: Mapping[int, float], taught: Collection[int], by: str
    ) -> None:
        """Leave ghosts of entries that the model ``by`` has learned, of all that it was taught."""
        await self._worker.do(self._worker.internalise, learned, taught, by)
        if self._metrics is not None:
            self._show(self._metrics)

    async def to_probe(self, share: float) -> list[Entry]:
        """Return a share of what was learned, those asked for most rather than others."""
        return await self._worker.do(self._worker.to_probe, share)

    async def probed(self, entry: Entry, said: str) -> bool:
        """Return whether the model still knows what was learned; what it lost comes back."""
        return await self._worker.do(self._worker.probed, entry, said)

    async def close(self) -> None:
        """Learn what waits, and stop."""
        await self._door.close()
        if self._sharing is not None:
            await self._sharing.close()
        await self._worker.close()

    # -- inside --------------------------------------------------------------------------------

    def _asked(self, request: Request, origin: str) -> LookUp:
        owner = owner_of(request, origin if self._settings.owners == "apart" else "")
        above, versions = self._above, self._versions(request.task)
        return LookUp(request, owner, versions, open=above is None or above.open(request.task))

    def _versions(self, task: Task) -> Collection[str]:
        return self._above.versions(task) if self._above is not None else ()

    def _write_day(self) -> None:
        if self.memory.days.due():
            self._write_day_now()

    def _write_day_now(self) -> None:
        written = self._worker.do(self.memory.write_day, time.time())
        written.add_done_callback(partial(_broken, "the account of a day"))

    def drawn(self) -> bool:
        """Say, by lot, whether an answer is to go up whatever is thought of it, to be compared."""
        return random.random() < self._settings.check_share  # noqa: S311 - guards nothing

    async def _look_up(self, asked: LookUp) -> Remembered | Shown | None:
        task = asked.request.task
        if self._under_way >= _WAITING:
            self._count(task, "late")
            return None
        self._under_way += 1
        try:
            found = self._worker.do(self._worker.find, asked)
            known = await asyncio.wait_for(found, self._settings.patience_s)
        except asyncio.TimeoutError:
            self._count(task, "late")
            return None
        except Exception:  # noqa: BLE001 - the model answers all the same
            _log.exception("a question broke the memory")
            return None
        finally:
            self._under_way -= 1
        if known is None:
            self._count(task, "unknown")
        return known

    def _learned(self, task: Task, done: asyncio.Future[TakenLesson]) -> None:
        self._lessons -= 1
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            _log.error("an answer broke the memory", reason=repr(error))
            return
        learned = done.result()
        if self._sharing is not None and learned.offer:
            self._sharing.offer(learned.offer)
        if self._metrics is not None:
            self._metrics.lessons.labels(task, learned.outcome).inc()
            self._show(self._metrics)

    def _count(self, task: Task, outcome: str) -> None:
        if self._metrics is not None:
            self._metrics.remembered.labels(task, outcome).inc()

    def _show(self, metrics: Metrics) -> None:
        for bound, value in self.checks.wrong_share._asdict().items():
            metrics.wrong.labels(bound).set(value)


def _broken(what: str, done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        _log.error(f"{what} broke in the memory", reason=repr(error))
