"""A memory in a running edge agent: looked up before the model, told of what came from above.

Vectors, look-ups and lessons are the business of one thread, which alone touches the memory. A
question that it does not get to in time is the model's, as if there were no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edge_agent.memory.checks import Checks
from edge_agent.memory.fast_path import agree
from edge_agent.memory.memory import Memory
from edge_agent.memory.store import MemoryStore
from shared.messages import Failure, Scored
from shared.runtimes.onnx_embedder import OnnxEmbedder
from shared.storage.state_dir import state_folder
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from edge_agent.memory.index import Vector
    from edge_agent.memory.memory import Recall
    from edge_agent.memory.settings import MemorySettings
    from shared.cascade.tier import Escalation
    from shared.messages import Result
    from shared.protocol.batch_queue import Queue
    from shared.serving.dispatcher import Dispatcher
    from shared.serving.solver import Solver
    from shared.tasks import Answer, Request, Task
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_VECTORS: Final = 1_000
_WAITING: Final = 64
"""Look-ups under way; more would only wait."""
_LESSONS: Final = 10_000
_REFIT: Final = 200
"""Lessons after which the verifier is fitted again."""


class Remembered(NamedTuple):
    """A remembered answer, how likely it is right, and who gave it."""

    answer: Answer
    chance: float
    source: str


class Wing:
    """The memory of an agent, between its model and its way up."""

    def __init__(
        self, settings: MemorySettings, embedder: OnnxEmbedder, store: MemoryStore
    ) -> None:
        self._settings = settings
        # Owners are told apart here, where options part memories, too.
        apart = msgspec.structs.replace(settings, owners="apart")
        self.memory = Memory(apart, dimensions=embedder.dimensions, store=store)
        self.checks = Checks()
        self._embed = lru_cache(_VECTORS)(lambda text: embedder.embed([text])[0])
        self._thread = ThreadPoolExecutor(1, "memory")
        self._above: Dispatcher | None = None
        self._metrics: Metrics | None = None
        self._versions: dict[Task, Collection[str]] = {}
        self._under_way = 0
        self._lessons = 0

    def before(self, solver: Solver) -> Solver:
        """Return a solver that stands before another one."""
        return RecallSolver(self, solver)

    def join(self, above: Dispatcher, metrics: Metrics) -> None:
        """Take up the agent's way up, which knows who answers there, and its metrics."""
        self._above, self._metrics = above, metrics
        metrics.entries.set(len(self.memory.entries))
        self._show_checks()

    async def recall(self, request: Request, origin: str) -> Scored | None:
        """Return what is known to answer a request, scored; None is left to the model."""
        if request.task not in self._settings.tasks or _varies(request):
            return None
        started_s = time.perf_counter()
        known = await self._look_up(request, origin)
        if known is None:
            return None
        check = random.random() < self._settings.check_share  # noqa: S311 - draws, guards nothing
        self._count(request.task, "check" if check else "given")
        elapsed_us = int((time.perf_counter() - started_s) * 1e6)
        return Scored(known.answer, known.chance, elapsed_us, source=known.source, check=check)

    def observe(self, escalation: Escalation, result: Result) -> None:
        """Learn from a final answer that came from above; returns at once."""
        prompt, answer = escalation.prompt, _text_of(result.outcome)
        if (
            not answer
            or result.degraded
            or self._above is None
            or result.tier not in (roster.tier for roster in self._above.choice.rosters)
            or prompt.task not in self._settings.tasks
            or _varies(prompt.request)
            or self._lessons >= _LESSONS
        ):
            return
        model, bundle = self._above.choice.model_of(result.hops[-1].agent)
        self._lessons += 1
        lesson = _Lesson(
            prompt.request,
            self._owner(prompt.request, prompt.origin),
            answer,
            model,
            bundle or model,
            _text_of(escalation.local_result.outcome) if escalation.source else "",
            self._current(prompt.task),
        )
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, self._learn, lesson)
        done.add_done_callback(self._learned)

    async def close(self) -> None:
        """Learn what waits, and stop."""
        await asyncio.to_thread(self._thread.shutdown)
        self.memory.refit()

    # -- inside --------------------------------------------------------------------------------

    async def _look_up(self, request: Request, origin: str) -> Remembered | None:
        if self._under_way >= _WAITING:
            self._count(request.task, "late")
            return None
        loop = asyncio.get_running_loop()
        owner, versions = self._owner(request, origin), self._current(request.task)
        self._under_way += 1
        try:
            found = loop.run_in_executor(self._thread, self._find, request, owner, versions)
            known = await asyncio.wait_for(found, self._settings.patience_s)
        except asyncio.TimeoutError:
            self._count(request.task, "late")
            return None
        except Exception:  # noqa: BLE001 - the model answers all the same
            _log.exception("a question broke the memory")
            return None
        finally:
            self._under_way -= 1
        if known is None:
            self._count(request.task, "unknown")
        return known

    def _current(self, task: Task) -> Collection[str]:
        """Return the versions that answer above now, or did when somebody last answered there."""
        if self._above is not None:
            models = self._above.choice.models(task, time.monotonic())
            if models:
                self._versions[task] = frozenset(bundle or model for model, bundle in models)
        return self._versions.get(task, ())

    def _owner(self, request: Request, origin: str) -> str:
        """Return whose memory it is: an answer holds for the options it was asked with."""
        owner = origin if self._settings.owners == "apart" else ""
        if not request.options:
            return owner
        options = msgspec.json.encode(request.options, order="sorted")
        return f"{owner}#{hashlib.sha256(options).hexdigest()[:16]}"

    def _count(self, task: Task, outcome: str) -> None:
        if self._metrics is not None:
            self._metrics.remembered.labels(task, outcome).inc()

    def _show_checks(self) -> None:
        assert self._metrics is not None, "the wing has joined its agent"  # noqa: S101
        for bound, value in self.checks.wrong_share._asdict().items():
            self._metrics.wrong.labels(bound).set(value)

    def _learned(self, done: asyncio.Future[str]) -> None:
        self._lessons -= 1
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            _log.error("an answer broke the memory", reason=repr(error))
            return
        if self._metrics is not None:
            task, _, outcome = done.result().partition(" ")
            self._metrics.lessons.labels(task, outcome).inc()
            self._metrics.entries.set(len(self.memory.entries))
            self._show_checks()

    # -- in the memory's thread ----------------------------------------------------------------

    def _find(self, request: Request, owner: str, versions: Collection[str]) -> Remembered | None:
        recall, now_s = self._recall(request, owner, versions), time.time()
        situation = self.memory.situation(recall)
        if self.memory.decide(situation).way != "direct" or recall.best is None:
            return None
        entry = recall.best.entry
        self.memory.used(recall.best, now_s)
        by = f"{entry.model} {entry.version}".strip() or "nobody known"
        answer = _answer_of(request.task, entry.answer)
        return Remembered(answer, situation.direct or 0.0, f"memory entry {entry.id} of {by}")

    def _learn(self, lesson: _Lesson) -> str:
        recall, now_s = self._recall(lesson.request, lesson.owner, lesson.versions), time.time()
        if lesson.said and recall.best is not None:
            right = agree(lesson.answer, lesson.said)
            self.memory.judged(recall.best, now_s, right=right, kind=recall.question.masked)
            self.checks.note(right=right)
        learned = self.memory.learn(
            recall, lesson.answer, now_s, model=lesson.model, version=lesson.version
        )
        if sum(self.memory.counts.values()) % _REFIT == 0:
            self.memory.refit()
        return f"{lesson.request.task} {learned.outcome}"

    def _recall(self, request: Request, owner: str, versions: Collection[str]) -> Recall:
        vector: Vector = self._embed(request.content)
        return self.memory.recall(
            request.content, vector, time.time(), task=request.task, owner=owner, versions=versions
        )


class RecallSolver:
    """Answers what the memory knows, and has another solver answer the rest."""

    def __init__(self, wing: Wing, behind: Solver) -> None:
        self._wing = wing
        self._behind = behind

    @property
    def tasks(self) -> frozenset[Task]:
        """Those of the solver behind."""
        return self._behind.tasks

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        """Return the remembered answer, or that of the solver behind, which may raise."""
        scored = await self._wing.recall(request, origin)
        if scored is not None:
            return scored
        return await self._behind.solve(
            request, deadline_s=deadline_s, priority=priority, origin=origin
        )

    def queue_for(self, origin: str) -> Queue:
        """Return what a request that is not known would find."""
        return self._behind.queue_for(origin)


class _Lesson(NamedTuple):
    """An answer from above; ``said`` is what the memory would have answered, if it is a check."""

    request: Request
    owner: str
    answer: str
    model: str
    version: str
    said: str
    versions: Collection[str]


@contextlib.asynccontextmanager
async def opened(settings: MemorySettings, state: str) -> AsyncIterator[Wing]:
    """Load the embedder and what is remembered, for as long as the context lasts.

    Raises ``BundleError``, ``StoreError``, ``SettingsError``, or ``AgentRunning`` when another
    process has the memory.
    """
    embedder = OnnxEmbedder(settings.embedder)
    async with contextlib.AsyncExitStack() as closing:
        folder = closing.enter_context(state_folder(settings.folder or state, "memory"))
        store = MemoryStore.open(folder, embedder.digest, embedder.dimensions)
        closing.push_async_callback(store.close)
        wing = Wing(settings, embedder, store)
        closing.push_async_callback(wing.close)
        yield wing


def _varies(request: Request) -> bool:
    """Return whether a request wants another answer each time."""
    return bool(request.options.get("temperature"))


def _text_of(outcome: Answer | Failure) -> str:
    """Return an answer as it is remembered; empty for what is not."""
    if isinstance(outcome, Label):
        return outcome.label
    if not isinstance(outcome, Completion) or outcome.finish != "stop" or outcome.prompt_cut:
        return ""
    return outcome.text


def _answer_of(task: Task, text: str) -> Answer:
    return Label(text) if task == "classify" else Completion(text)
