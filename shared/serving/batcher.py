"""Hands a model whatever is waiting, up to a limit, and never waits for a batch to fill.

What one round with the model is, is the business of ``shared.serving.rounds``: a batch for a
classifier, some steps for a generator.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from shared.errors import BundleError, Expired, Stopping
from shared.protocol.batch_queue import STOPPING, TIME_RAN_OUT, BatchQueue
from shared.runtimes import Generator, Remote
from shared.serving.batch_rounds import BatchRounds
from shared.serving.rounds import Unanswered
from shared.serving.token_rounds import TokenRounds
from shared.serving.watched_thread import WatchedThread
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.messages import Scored
    from shared.protocol.batch_queue import Queue
    from shared.runtimes import Model
    from shared.serving.rounds import Rounds
    from shared.tasks import Request, Task
    from shared.telemetry.metrics import Metrics

_log = get_logger()


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
        """Hold a model; a batch, or a token, that takes longer than ``limit_s`` means it hangs."""
        self.model = model
        self._thread = WatchedThread(limit_s)
        self.hung = self._thread.hung
        """Set once the model hangs, or nobody feeds it: only the end of the process helps then."""
        self._metrics = metrics
        self._queue: BatchQueue[Unanswered] = BatchQueue(queue_prompts, batch_prompts=batch_prompts)
        self._rounds = self._rounds_of(model)
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._worker: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exchanges: deque[tuple[Model, Future[None]]] = deque()
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
        """Smoothed time the model takes for one prompt."""
        return self._queue.service_s * self._rounds.mean_weight

    def queue_for(self, origin: str) -> Queue:
        """Return how long a prompt of an origin that came now would wait, and whether it may."""
        return self._queue.queue_for(origin)

    def start(self) -> None:
        """Begin to serve."""
        self._loop = asyncio.get_running_loop()
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

        A text that nobody waits for any more is not written on. Raises ``Busy`` when the queue is
        full, or when its place is needed for somebody who has less in it; ``Stopping`` when it is
        closed, ``Expired`` when there is no answer by ``deadline_s`` (on the monotonic clock),
        ``InvalidPrompt`` for what the model cannot be asked, and ``ModelFailed`` when it raised.
        """
        loop = asyncio.get_running_loop()
        scored: asyncio.Future[Scored] = loop.create_future()
        weight = self._rounds.weigh(request)
        waiting = Unanswered(request, time.perf_counter(), deadline_s, scored, weight)
        displaced = self._queue.put(waiting, origin, priority, request.size_bytes, weight)
        for other, busy in displaced:
            if not other.done():
                other.scored.set_exception(busy)
        self._some.set()
        self._rounds.look()
        expiry = loop.call_later(deadline_s - time.monotonic(), _expire, scored)
        try:
            return await scored
        finally:
            expiry.cancel()

    def exchange(self, model: Model) -> None:
        """Have another model answer from the next round on, and return when it does.

        The one before has answered all that it had begun by then. Not for the event loop's thread,
        which this would block. Raises ``Stopping`` when the batcher is closed, and ``BundleError``
        for a model that a server runs (``shared.serving.caller``).
        """
        if isinstance(model, Remote):
            raise BundleError(
                "an agent whose model runs here asks a server for it only after a restart"
            )
        if self._stopping or self._loop is None:
            raise Stopping(STOPPING)
        taken: Future[None] = Future()
        self._exchanges.append((model, taken))
        self._loop.call_soon_threadsafe(self._some.set)
        self._rounds.look()
        taken.result()

    async def close(self) -> None:
        """Let the running batch finish, turn away what still waits or is written, and stop."""
        self._stopping = True
        for waiting, stopping in self._queue.close():
            if not waiting.done():
                waiting.scored.set_exception(stopping)
        self._rounds.break_off(Stopping(STOPPING))
        await self._idle.wait()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._refuse_exchanges()
        self._thread.shutdown()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            self._idle.clear()
            try:
                await self._rounds.go_on(let_in=not self._exchanges)
            finally:
                self._idle.set()
            if self._exchanges and not self._rounds.under_way:
                self._take(*self._exchanges.popleft())
            if not (len(self._queue) or self._rounds.under_way or self._exchanges):
                self._some.clear()

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """Nobody feeds the model any more, whatever it was that ended it."""
        self._refuse_exchanges()
        if not self._stopping:
            error = None if worker.cancelled() else worker.exception()
            _log.critical("nobody feeds the model", model=self.model.name, reason=repr(error))
            self.hung.set()

    def _take(self, model: Model, taken: Future[None]) -> None:
        """Exchange the model, between two rounds."""
        self.model = model
        self._rounds = self._rounds_of(model)
        self._queue.measure_anew()
        taken.set_result(None)

    def _refuse_exchanges(self) -> None:
        while self._exchanges:
            self._exchanges.popleft()[1].set_exception(Stopping(STOPPING))

    def _rounds_of(self, model: Model) -> Rounds:
        parts = (self._queue, self._thread, self._metrics)
        return (
            TokenRounds(model, *parts)
            if isinstance(model, Generator)
            else BatchRounds(model, *parts)
        )


def _expire(scored: asyncio.Future[Scored]) -> None:
    if not scored.done():
        scored.set_exception(Expired(TIME_RAN_OUT))
