"""Hands a model whatever is waiting, up to a limit, and never waits for a batch to fill."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from shared.errors import Busy, ModelFailed, Stopping
from shared.log import get_logger

if TYPE_CHECKING:
    from shared.messages import Scored
    from shared.runtimes import Model

_log = get_logger()
_SMOOTHING = 0.1


class Batcher:
    """A bounded queue before one model, which runs in one thread of its own."""

    def __init__(self, model: Model, *, batch_prompts: int, queue_prompts: int) -> None:
        self.model = model
        self.service_s = 0.0
        """Smoothed time the model takes for one prompt of a batch."""
        self._batch_prompts = batch_prompts
        self._queue: asyncio.Queue[tuple[str, asyncio.Future[Scored]]] = asyncio.Queue(
            queue_prompts
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker: asyncio.Task[None] | None = None
        self._running = 0
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many prompts wait or are being answered."""
        return self._queue.qsize() + self._running

    @property
    def full(self) -> bool:
        """Whether another prompt would be turned away."""
        return self._queue.full()

    @property
    def wait_s(self) -> float:
        """How long a prompt that came now would wait for its turn."""
        return self.waiting * self.service_s

    def start(self) -> None:
        """Begin to serve."""
        self._worker = asyncio.create_task(self._work(), name="batcher")

    async def score(self, text: str) -> Scored:
        """Return the model's answer to one prompt.

        Raises ``Busy`` at once when the queue is full, ``Stopping`` when it is closed, and
        ``ModelFailed`` when the model raised on this prompt.
        """
        if self._stopping:
            raise Stopping("the agent is shutting down")
        scored: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((text, scored))
        except asyncio.QueueFull:
            raise Busy(f"{self._queue.maxsize} prompts are waiting already") from None
        return await scored

    async def close(self) -> None:
        """Finish what waits, then stop; nothing new is taken meanwhile."""
        self._stopping = True
        await self._queue.join()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._thread.shutdown()

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_prompts and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._running = len(batch)
            try:
                await self._answer(batch)
            finally:
                self._running = 0
                for _ in batch:
                    self._queue.task_done()

    async def _answer(self, batch: list[tuple[str, asyncio.Future[Scored]]]) -> None:
        """Run one batch and settle every prompt in it, whatever the model does."""
        texts = [text for text, _ in batch]
        started_s = time.perf_counter()
        answers: list[Scored | ModelFailed]
        try:
            loop = asyncio.get_running_loop()
            answers = await loop.run_in_executor(self._thread, self.model.answer, texts)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises
            _log.exception("the model raised", model=self.model.name, prompts=len(batch))
            answers = [ModelFailed(f"{type(error).__name__}: {error}")] * len(batch)
        self._measure((time.perf_counter() - started_s) / len(batch))
        for (_, waiting), answer in zip(batch, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, ModelFailed):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    def _measure(self, service_s: float) -> None:
        first = self.service_s == 0.0
        self.service_s += (service_s - self.service_s) * (1.0 if first else _SMOOTHING)
