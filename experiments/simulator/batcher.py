"""A bounded queue before one model, as ``shared.serving.batcher`` has it, in simulated time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.simulator.cpu import TURN
from shared.errors import Busy, Expired
from shared.protocol.fair_queue import FairQueue, Full

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import ModelThread, Worker
    from experiments.simulator.service_times import ServiceTimes
    from shared.errors import PromptError

_SMOOTHING: Final = 0.1


@dataclass
class _Promise:
    """Who is to be told what became of a prompt, once."""

    scored: Callable[[PromptError | None], None]
    kept: bool = False


class _Simulated(NamedTuple):
    """A prompt in the queue."""

    prompt_bytes: int
    since_s: float
    promise: _Promise


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
        self._batch_prompts = batch_prompts
        self._queue: FairQueue[_Simulated] = FairQueue(queue_prompts)
        self._running = 0
        self._woken = False
        self._begun_s = 0.0
        self.service_s = 0.0
        """Smoothed time for one prompt of a batch."""

    @property
    def waiting(self) -> int:
        """How many prompts wait or are being answered."""
        return len(self._queue) + self._running

    @property
    def wait_s(self) -> float:
        """How long the model will take for all that waits."""
        return self.waiting * self.service_s

    def full_for(self, origin: str) -> bool:
        """Say whether a prompt of an origin would be turned away."""
        return self._queue.full_for(origin)

    def wait_of_s(self, origin: str) -> float:
        """Return how long a prompt of an origin that came now would wait for its turn."""
        return (self._running + self._queue.ahead_of(origin)) * self.service_s

    def score(
        self,
        prompt_bytes: int,
        deadline_s: float,
        priority: int,
        origin: str,
        scored: Callable[[PromptError | None], None],
    ) -> None:
        """Call ``scored`` when the model is done with the prompt, or with why it never was."""
        waiting = _Simulated(prompt_bytes, self._clock.now_s, _Promise(scored))
        busy = Busy(f"{len(self._queue)} prompts are waiting already")
        try:
            displaced = self._queue.put(waiting, origin, priority, prompt_bytes)
        except Full:
            scored(busy)
            return
        self.tally.waiting += 1
        for other in displaced:
            self._keep(other.promise, busy)
        self._clock.at(deadline_s, self._expire, waiting.promise)
        if not (self._running or self._woken):
            self._woken = True
            self._loop.do(TURN, self._run)

    def _run(self) -> None:
        """Hand over what waits by now; this comes in its turn on the agent's loop."""
        self._woken = False
        taken = self._queue.take(self._batch_prompts)
        batch = [waiting for waiting in taken if not waiting.promise.kept]
        if not batch:
            if self._queue:
                self._run()
            return
        now_s = self._clock.now_s
        self._running = len(batch)
        self._begun_s = now_s
        self.tally.runs += 1
        self.tally.prompts += len(batch)
        self.tally.waited_s += sum(now_s - waiting.since_s for waiting in batch)
        held, free = self._times.steps([waiting.prompt_bytes for waiting in batch])
        self._thread.run(held, free, self._loop.do, TURN, self._finish, batch)

    def _finish(self, batch: list[_Simulated]) -> None:
        took_s = (self._clock.now_s - self._begun_s) / len(batch)
        first = self.service_s == 0.0
        self.service_s += (took_s - self.service_s) * (1.0 if first else _SMOOTHING)
        self._running = 0
        for waiting in batch:
            self._keep(waiting.promise, None)
        if self._queue:
            self._run()

    def _expire(self, promise: _Promise) -> None:
        if not promise.kept:
            self._keep(promise, Expired("the prompt's time ran out before the model answered"))

    def _keep(self, promise: _Promise, error: PromptError | None) -> None:
        if not promise.kept:
            promise.kept = True
            self.tally.waiting -= 1
            promise.scored(error)
