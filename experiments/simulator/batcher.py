"""A bounded queue before one model, as ``shared.serving.batcher`` has it, in simulated time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.simulator.cpu import TURN
from shared.errors import Busy, Expired
from shared.protocol.batch_queue import TIME_RAN_OUT, BatchQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import ModelThread, Worker
    from experiments.simulator.service_times import ServiceTimes
    from shared.errors import PromptError


@dataclass
class _Simulated:
    """A prompt in the queue, since when, and who is to be told what became of it, once."""

    prompt_bytes: int
    since_s: float
    scored: Callable[[PromptError | None], None]
    told: bool = False

    def done(self) -> bool:
        """Say whether it was told."""
        return self.told


@dataclass
class BatchCounts:
    """What one batcher, or several together, have done: runs, the prompts in them, their waits."""

    waiting: int = 0
    runs: int = 0
    prompts: int = 0
    waited_s: float = 0.0


class SimulatedBatcher:
    """Hands the model's thread whatever waits, up to a limit, and never waits for a batch."""

    def __init__(
        self,
        clock: SimulatedClock,
        loop: Worker,
        thread: ModelThread,
        times: ServiceTimes,
        tally: BatchCounts,
        *,
        batch_prompts: int,
        queue_prompts: int,
    ) -> None:
        self._clock = clock
        self._loop = loop
        self._thread = thread
        self._times = times
        self.tally = tally
        self.queue: BatchQueue[_Simulated] = BatchQueue(queue_prompts, batch_prompts=batch_prompts)
        self._woken = False
        self._begun_s = 0.0

    def score(
        self,
        prompt_bytes: int,
        deadline_s: float,
        priority: int,
        origin: str,
        scored: Callable[[PromptError | None], None],
    ) -> None:
        """Call ``scored`` when the model is done with the prompt, or with why it never was."""
        waiting = _Simulated(prompt_bytes, self._clock.now_s, scored)
        try:
            displaced = self.queue.put(waiting, origin, priority, prompt_bytes)
        except Busy as error:
            scored(error)
            return
        self.tally.waiting += 1
        for other, busy in displaced:
            self._tell(other, busy)
        self._clock.at(deadline_s, self._expire, waiting)
        if not (self.queue.running or self._woken):
            self._woken = True
            self._loop.do(TURN, self._run)

    def _run(self) -> None:
        """Hand over what waits by now; this comes in its turn on the agent's loop."""
        self._woken = False
        batch = self.queue.take()
        if not batch:
            return
        now_s = self._clock.now_s
        self._begun_s = now_s
        self.tally.runs += 1
        self.tally.prompts += len(batch)
        self.tally.waited_s += sum(now_s - waiting.since_s for waiting in batch)
        held, free = self._times.steps([waiting.prompt_bytes for waiting in batch])
        self._thread.run(held, free, self._loop.do, TURN, self._finish, batch)

    def _finish(self, batch: list[_Simulated]) -> None:
        self.queue.measure(self._clock.now_s - self._begun_s)
        self.queue.end()
        for waiting in batch:
            self._tell(waiting, None)
        if len(self.queue):
            self._run()

    def _expire(self, waiting: _Simulated) -> None:
        if not waiting.told:
            self._tell(waiting, Expired(TIME_RAN_OUT))

    def _tell(self, waiting: _Simulated, error: PromptError | None) -> None:
        if not waiting.told:
            waiting.told = True
            self.tally.waiting -= 1
            waiting.scored(error)
