"""Hands a model whatever is waiting, up to a limit, and never waits for a batch to fill."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import Busy, Expired, ModelFailed, Stopping
from shared.protocol.admission import Queue
from shared.protocol.fair_queue import FairQueue, Full
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.messages import Scored
    from shared.runtimes import Model
    from shared.tasks import Request, Task
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_SMOOTHING = 0.1
_STOPPING = "the agent is shutting down"


class _Waiting(NamedTuple):
    """A prompt in the queue, since when on the performance counter, and where its answer goes."""

    request: Request
    since_s: float
    scored: asyncio.Future[Scored]


class Batcher:
    """A bounded queue before one model, which runs in one thread of its own.

    Origins have their turns (``shared.protocol.fair_queue``).
    """

    def __init__(
        self,
        model: Model,
        *,
        batch_prompts: int,
        queue_prompts: int,
        limit_s: float = math.inf,
        metrics: Metrics | None = None,
    ) -> None:
        """Hold a model; one batch that takes longer than ``limit_s`` means that it hangs."""
        self.model = model
        self.hung = asyncio.Event()
        """Set once the model hangs, or nobody feeds it: only the end of the process helps then."""
        self.service_s = 0.0
        """Smoothed time the model takes for one prompt of a batch."""
        self._batch_prompts = batch_prompts
        self._limit_s = limit_s
        self._metrics = metrics
        self._queue: FairQueue[_Waiting] = FairQueue(queue_prompts)
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker: asyncio.Task[None] | None = None
        self._running = 0
        self._new = True  # of the model no batch has been measured yet
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many prompts wait or are being answered."""
        return len(self._queue) + self._running

    @property
    def wait_s(self) -> float:
        """How long the model will take for all that waits."""
        return self.waiting * self.service_s

    def queue_for(self, origin: str) -> Queue:
        """Return how long a prompt of an origin that came now would wait, and whether it may."""
        wait_s = (self._running + self._queue.ahead_of(origin)) * self.service_s
        return Queue(wait_s, self._queue.full_for(origin))

    def start(self) -> None:
        """Begin to serve."""
        self._worker = asyncio.create_task(self._work(), name="batcher")
        self._worker.add_done_callback(self._ended)

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks that the model answers."""
        return self.model.tasks

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        """Return the model's answer to one request; a higher ``priority`` goes first.

        Raises ``Busy`` when the queue is full, or when its place is needed for somebody who has
        less in it; ``Stopping`` when it is closed, ``Expired`` when there is no answer by
        ``deadline_s`` (on the monotonic clock), and ``ModelFailed`` when the model raised on it.
        """
        if self._stopping:
            raise Stopping(_STOPPING)
        loop = asyncio.get_running_loop()
        scored: asyncio.Future[Scored] = loop.create_future()
        waiting = _Waiting(request, time.perf_counter(), scored)
        busy = f"{len(self._queue)} prompts are waiting already"
        try:
            text = request.content
            size = len(text) if text.isascii() else len(text.encode(errors="replace"))
            displaced = self._queue.put(waiting, origin, priority, size)
        except Full:
            raise Busy(busy) from None
        for other in displaced:
            if not other.scored.done():
                other.scored.set_exception(Busy(busy))
        self._some.set()
        expiry = loop.call_later(deadline_s - time.monotonic(), _expire, scored)
        try:
            return await scored
        finally:
            expiry.cancel()

    def exchange(self, model: Model) -> None:
        """Have another model answer from the next batch on, and return when it does.

        The one before has answered its last batch by then. Not for the event loop's thread, which
        this would block. Raises ``Stopping`` when the batcher is closed.
        """
        try:
            taken = self._thread.submit(self._take, model)
        except RuntimeError:  # the thread has ended
            raise Stopping(_STOPPING) from None
        taken.result()

    async def close(self) -> None:
        """Let the running batch finish, turn away what still waits, and stop."""
        self._stopping = True
        for waiting in self._queue.take(len(self._queue)):
            if not waiting.scored.done():
                waiting.scored.set_exception(Stopping(_STOPPING))
        await self._idle.wait()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._thread.shutdown()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            taken = self._queue.take(self._batch_prompts)
            if not len(self._queue):
                self._some.clear()
            batch = [waiting for waiting in taken if not waiting.scored.done()]
            self._running = len(batch)
            self._idle.clear()
            try:
                await self._answer(batch)
            finally:
                self._running = 0
                self._idle.set()

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """Nobody feeds the model any more, whatever it was that ended it."""
        if not self._stopping:
            error = None if worker.cancelled() else worker.exception()
            _log.critical("nobody feeds the model", model=self.model.name, reason=repr(error))
            self.hung.set()

    async def _answer(self, batch: list[_Waiting]) -> None:
        """Run one batch and settle every prompt in it."""
        if not batch:
            return
        requests = [waiting.request for waiting in batch]
        loop = asyncio.get_running_loop()
        started_s = time.perf_counter()
        self._count(batch, started_s)
        limit = None if math.isinf(self._limit_s) else loop.call_later(self._limit_s, self.hung.set)
        try:
            answers = await loop.run_in_executor(self._thread, self._run, requests)
        finally:
            if limit is not None:
                limit.cancel()
        self._measure((time.perf_counter() - started_s) / len(batch))
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.scored.done():
                continue
            if isinstance(answer, ModelFailed):
                waiting.scored.set_exception(answer)
            else:
                waiting.scored.set_result(answer)

    def _take(self, model: Model) -> None:
        """Exchange the model, in its thread: between two batches."""
        self.model = model
        self._new = True

    def _run(self, requests: list[Request]) -> list[Scored | ModelFailed]:
        """Run the model, in its thread; when a batch fails as a whole, its prompts one by one.

        What an engine raises need not be an ``Exception``: the panics of some are not.
        """
        try:
            answers = self.model.answer(requests)
            fault = f"the model gave {len(answers)} answers to {len(requests)} prompts"
        except BaseException as error:  # noqa: BLE001 - whatever the engine raises
            _log.exception("the model raised", model=self.model.name, prompts=len(requests))
            answers, fault = [], f"{type(error).__name__}: {error}"
        if len(answers) == len(requests):
            return answers
        if len(requests) == 1:
            return [ModelFailed(fault)]
        return [answer for request in requests for answer in self._run([request])]

    def _count(self, batch: list[_Waiting], now_s: float) -> None:
        if self._metrics is None:
            return
        self._metrics.batch_prompts.observe(len(batch))
        for waiting in batch:
            self._metrics.queue_seconds.observe(now_s - waiting.since_s)

    def _measure(self, service_s: float) -> None:
        self.service_s += (service_s - self.service_s) * (1.0 if self._new else _SMOOTHING)
        self._new = False


def _expire(scored: asyncio.Future[Scored]) -> None:
    if not scored.done():
        scored.set_exception(Expired("the prompt's time ran out before the model answered"))
