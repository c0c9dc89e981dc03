"""Hands a model whatever is waiting, up to a limit, and never waits for a batch to fill."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import Expired, ModelFailed, PromptError, Stopping
from shared.protocol.batch_queue import STOPPING, TIME_RAN_OUT, BatchQueue
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.protocol.batch_queue import Queue
    from shared.runtimes import Model
    from shared.runtimes.model import Entry
    from shared.tasks import Request, Task
    from shared.telemetry.metrics import Metrics

_log = get_logger()


class _Unanswered(NamedTuple):
    """A prompt in the queue, since when on the performance counter, and where its answer goes."""

    request: Request
    since_s: float
    scored: asyncio.Future[Scored]

    def done(self) -> bool:
        """Say whether nobody waits for it any more."""
        return self.scored.done()


class Batcher:
    """One model in one thread of its own, and the queue before it."""

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
        self._limit_s = limit_s
        self._metrics = metrics
        self._queue: BatchQueue[_Unanswered] = BatchQueue(
            queue_prompts, batch_prompts=batch_prompts
        )
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many prompts wait or are being answered."""
        return len(self._queue) + self._queue.running

    @property
    def wait_s(self) -> float:
        """How long the model will take for all that waits."""
        return self._queue.wait_s

    @property
    def service_s(self) -> float:
        """Smoothed time the model takes for one prompt of a batch."""
        return self._queue.service_s

    def queue_for(self, origin: str) -> Queue:
        """Return how long a prompt of an origin that came now would wait, and whether it may."""
        return self._queue.queue_for(origin)

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
        loop = asyncio.get_running_loop()
        scored: asyncio.Future[Scored] = loop.create_future()
        waiting = _Unanswered(request, time.perf_counter(), scored)
        for other, busy in self._queue.put(waiting, origin, priority, request.size_bytes):
            if not other.done():
                other.scored.set_exception(busy)
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
            raise Stopping(STOPPING) from None
        taken.result()

    async def close(self) -> None:
        """Let the running batch finish, turn away what still waits, and stop."""
        self._stopping = True
        for waiting, stopping in self._queue.close():
            if not waiting.done():
                waiting.scored.set_exception(stopping)
        await self._idle.wait()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._thread.shutdown()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            batch = self._queue.take()
            if not len(self._queue):
                self._some.clear()
            self._idle.clear()
            try:
                await self._answer(batch)
            finally:
                self._queue.end()
                self._idle.set()

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """Nobody feeds the model any more, whatever it was that ended it."""
        if not self._stopping:
            error = None if worker.cancelled() else worker.exception()
            _log.critical("nobody feeds the model", model=self.model.name, reason=repr(error))
            self.hung.set()

    async def _answer(self, batch: list[_Unanswered]) -> None:
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
        self._queue.measure(time.perf_counter() - started_s)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, PromptError):
                waiting.scored.set_exception(answer)
            else:
                waiting.scored.set_result(answer)

    def _take(self, model: Model) -> None:
        """Exchange the model, in its thread: between two batches."""
        self.model = model
        self._queue.measure_anew()

    def _run(self, requests: list[Request]) -> Sequence[Entry]:
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

    def _count(self, batch: list[_Unanswered], now_s: float) -> None:
        if self._metrics is None:
            return
        self._metrics.batch_prompts.observe(len(batch))
        for waiting in batch:
            self._metrics.queue_seconds.observe(now_s - waiting.since_s)


def _expire(scored: asyncio.Future[Scored]) -> None:
    if not scored.done():
        scored.set_exception(Expired(TIME_RAN_OUT))
