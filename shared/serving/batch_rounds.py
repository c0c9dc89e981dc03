"""Rounds of a classifier: a batch through the model, which ends together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.errors import ModelFailed, PromptError
from shared.serving.rounds import count
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.protocol.batch_queue import BatchQueue
    from shared.runtimes import Model
    from shared.runtimes.model import Entry
    from shared.serving.rounds import Unanswered
    from shared.serving.watched_thread import WatchedThread
    from shared.tasks import Request
    from shared.telemetry.metrics import Metrics

_log = get_logger()


class BatchRounds:
    """A batch at a time; when one fails as a whole, its prompts one by one."""

    under_way = False
    mean_weight = 1.0

    def __init__(
        self,
        model: Model,
        queue: BatchQueue[Unanswered],
        thread: WatchedThread,
        metrics: Metrics | None,
    ) -> None:
        self._model = model
        self._queue = queue
        self._thread = thread
        self._metrics = metrics

    def weigh(self, request: Request) -> float:
        """Every prompt is as good as any other."""
        del request
        return 1.0

    def look(self) -> None:
        """Let a batch that runs be: it cannot change."""

    async def go_on(self, *, let_in: bool = True) -> None:
        """Run one batch and settle every prompt in it."""
        batch = self._queue.take() if let_in else []
        if not batch:
            return
        requests = [waiting.request for waiting in batch]
        started_s = time.perf_counter()
        count(self._metrics, len(batch), batch, started_s)
        try:
            entries = await self._thread.run(lambda: self._run(requests))
            self._queue.measure(time.perf_counter() - started_s)
        finally:
            self._queue.end()
        for waiting, entry in zip(batch, entries, strict=True):
            waiting.settle(entry)

    def break_off(self, error: PromptError) -> None:
        """Let a batch that runs be: it ends with its round."""

    def _run(self, requests: list[Request]) -> Sequence[Entry]:
        """Run the model, in its thread.

        What an engine raises need not be an ``Exception``: the panics of some are not.
        """
        try:
            answers = self._model.answer(requests)
            fault = f"the model gave {len(answers)} answers to {len(requests)} prompts"
        except BaseException as error:  # noqa: BLE001 - whatever the engine raises
            _log.exception("the model raised", model=self._model.name, prompts=len(requests))
            answers, fault = [], f"{type(error).__name__}: {error}"
        if len(answers) == len(requests):
            return answers
        if len(requests) == 1:
            return [ModelFailed(fault)]
        return [answer for request in requests for answer in self._run([request])]
