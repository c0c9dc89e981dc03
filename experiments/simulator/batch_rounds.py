"""Batches through a model, as ``shared.serving.batch_rounds``, in simulated time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.simulator.cpu import TURN

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import ModelThread, Worker
    from experiments.simulator.service_times import ServiceTimes
    from experiments.simulator.waiting import BatchCounts, WaitingPrompt, Work
    from shared.protocol.batch_queue import BatchQueue


class SimulatedBatchRounds:
    """Hands the model's thread a batch, all of which ends together."""

    under_way = False
    mean_weight = 1.0

    def __init__(
        self,
        clock: SimulatedClock,
        loop: Worker,
        thread: ModelThread,
        times: ServiceTimes,
        queue: BatchQueue[WaitingPrompt],
        tally: BatchCounts,
    ) -> None:
        self._clock = clock
        self._loop = loop
        self._thread = thread
        self._times = times
        self._queue = queue
        self._tally = tally

    def weigh(self, work: Work) -> float:
        """Every prompt is as good as any other."""
        del work
        return 1.0

    def look(self) -> None:
        """Let a batch that runs be: it cannot change."""

    def go_on(self, done: Callable[[], None]) -> None:
        """Run one batch."""
        batch = self._queue.take()
        if not batch:
            done()
            return
        now_s = self._clock.now_s
        self._tally.run(len(batch), [now_s - waiting.since_s for waiting in batch])
        held, free = self._times.steps([waiting.work.prompt_bytes for waiting in batch])
        self._thread.run(held, free, self._loop.do, TURN, self._finish, batch, now_s, done)

    def _finish(self, batch: list[WaitingPrompt], begun_s: float, done: Callable[[], None]) -> None:
        self._queue.measure(self._clock.now_s - begun_s)
        self._queue.end()
        for waiting in batch:
            waiting.tell(None)
        done()
