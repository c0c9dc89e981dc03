"""A bounded queue before one model, as ``shared.batcher`` has it, in simulated time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.errors import Busy, Expired

if TYPE_CHECKING:
    from collections.abc import Callable

    from planning.clock import Clock
    from planning.processor import Worker
    from planning.service_times import ServiceTimes
    from shared.errors import PromptError

_SMOOTHING: Final = 0.1


class _Waiting(NamedTuple):
    prompt_bytes: int
    since_s: float
    deadline_s: float
    scored: Callable[[PromptError | None], None]


@dataclass
class Tally:
    """What one batcher, or several together, have done: runs, the prompts in them, their waits."""

    waiting: int = 0
    runs: int = 0
    prompts: int = 0
    waited_s: float = 0.0


class Batcher:
    """Hands the model's thread whatever waits, up to a limit, and never waits for a batch."""

    def __init__(
        self,
        clock: Clock,
        loop: Worker,
        thread: Worker,
        times: ServiceTimes,
        tally: Tally,
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
        self._queue_prompts = queue_prompts
        self._queue: deque[_Waiting] = deque()
        self._running = 0
        self._begun_s = 0.0
        self.service_s = 0.0
        """Smoothed time for one prompt of a batch."""

    @property
    def waiting(self) -> int:
        """How many prompts wait or are being answered."""
        return len(self._queue) + self._running

    @property
    def full(self) -> bool:
        """Whether another prompt would be turned away."""
        return len(self._queue) >= self._queue_prompts

    @property
    def wait_s(self) -> float:
        """How long a prompt that came now would wait for its turn."""
        return self.waiting * self.service_s

    def score(
        self,
        prompt_bytes: int,
        deadline_s: float,
        scored: Callable[[PromptError | None], None],
    ) -> None:
        """Call ``scored`` when the model is done with the prompt, or with why it never was."""
        if self.full:
            scored(Busy(f"{self._queue_prompts} prompts are waiting already"))
            return
        self.tally.waiting += 1
        self._queue.append(_Waiting(prompt_bytes, self._clock.now_s, deadline_s, scored))
        if not self._running:
            self._run()

    def _run(self) -> None:
        now_s = self._clock.now_s
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._batch_prompts:
            waiting = self._queue.popleft()
            if waiting.deadline_s <= now_s:
                self.tally.waiting -= 1
                waiting.scored(Expired("the prompt's time ran out before the model answered"))
            else:
                batch.append(waiting)
        if not batch:
            return
        self._running = len(batch)
        self._begun_s = now_s
        self.tally.runs += 1
        self.tally.prompts += len(batch)
        self.tally.waited_s += sum(now_s - waiting.since_s for waiting in batch)
        held, free = self._times.steps([waiting.prompt_bytes for waiting in batch])
        self._loop.let_in(held, self._thread.do, free, self._finish, batch)

    def _finish(self, batch: list[_Waiting]) -> None:
        now_s = self._clock.now_s
        took_s = (now_s - self._begun_s) / len(batch)
        first = self.service_s == 0.0
        self.service_s += (took_s - self.service_s) * (1.0 if first else _SMOOTHING)
        self._running = 0
        self.tally.waiting -= len(batch)
        for waiting in batch:
            expired = waiting.deadline_s <= now_s
            waiting.scored(Expired("its time ran out at the model") if expired else None)
        if self._queue and not self._running:
            self._run()
