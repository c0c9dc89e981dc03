"""Who computes when: cores that are shared out evenly, and workers that do one thing at a time.

A worker is what an agent has two of: the event loop, on which everything but the model runs, and
the model's thread. A processor is what all workers of a machine share. A system's scheduler is far
finer than anything here, so each of k jobs on c cores simply runs at min(1, c / k) of full speed
(processor sharing).
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.simulator.clock import SimulatedClock

_ROUNDING_S: Final = 1e-12
_SWITCH_S: Final = 0.002
"""A thread may ask for the interpreter's lock after 5 ms (CPython's switch interval); a loop that
talks to sockets lets it go more often than that."""
_COOLING_S: Final = 0.003
_WARMING_S: Final = 0.008
"""What is cold costs more: caches empty within milliseconds, and fill again with work."""


class Processor:
    """The cores of one machine."""

    def __init__(self, clock: SimulatedClock, cores: float, speed: float = 1.0) -> None:
        """Share out ``cores`` that do ``speed`` seconds of measured work in a second."""
        self._clock = clock
        self.cores = cores
        self._full_speed = speed
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._progress_s = 0.0  # what each job that was there all along has been given
        self._since_s = 0.0
        self._begun = 0
        self._due = 0
        self._cold = 1.0
        self.worked_s = 0.0
        """Core seconds spent so far, as of the last job that began or ended."""

    @property
    def cold(self) -> float:
        """From 0 to 1: how long its cores have lain idle."""
        self._advance()
        return self._cold

    def run(self, work_s: float, done: Callable[[], None]) -> None:
        """Compute for ``work_s`` of one core, then call ``done``."""
        self._advance()
        self._begun += 1
        heapq.heappush(self._jobs, (self._progress_s + work_s, self._begun, done))
        if self._jobs[0][1] == self._begun or len(self._jobs) > self.cores:
            self._look_ahead()

    def _speed(self) -> float:
        return self._full_speed * min(1.0, self.cores / len(self._jobs))

    def _advance(self) -> None:
        past_s = self._clock.now_s - self._since_s
        if not past_s:
            return
        self._since_s = self._clock.now_s
        busy = min(self.cores, len(self._jobs))
        if busy:
            self._progress_s += past_s * self._speed()
            self.worked_s += past_s * busy
        # Idle cores cool it and busy ones warm it, towards where the two are even.
        cooling = (1.0 - busy / self.cores) / _COOLING_S
        pace = cooling + busy / self.cores / _WARMING_S
        even = cooling / pace
        self._cold = even + (self._cold - even) * math.exp(-pace * past_s)

    def _look_ahead(self) -> None:
        """Come back when the first job is done, as things stand."""
        self._due += 1
        left_s = max(self._jobs[0][0] - self._progress_s, 0.0)
        self._clock.after(left_s / self._speed(), self._finish, self._due)

    def _finish(self, due: int) -> None:
        if due != self._due:
            return  # things stand differently since
        self._advance()
        # The first is done, whatever rounding says: late in a long run a step of time is not small.
        self._progress_s = max(self._progress_s, self._jobs[0][0])
        ended: list[Callable[[], None]] = []
        while self._jobs and self._jobs[0][0] <= self._progress_s + _ROUNDING_S:
            ended.append(heapq.heappop(self._jobs)[2])
        if self._jobs:
            self._look_ahead()
        for done in ended:
            done()


class Step(NamedTuple):
    """What one piece of work costs, in seconds of a core.

    ``cold_s`` for a worker that had been idle, ``warm_s`` when it comes straight after another
    piece. ``on_path`` is the share of it after which its effect is out; the rest is tidying up.
    """

    cold_s: float
    warm_s: float
    on_path: float = 1.0


TURN: Final = Step(0.0, 0.0)
"""Costs nothing, but comes in its turn: futures are settled and queues looked at on the loop."""


class Worker:
    """Does one thing at a time, in the order they come.

    It warms up while it works and cools down while it does not, the less so the busier the cores
    are: a part of what makes work after a pause dear is that a core must be woken. An event loop
    also stands for its interpreter's lock: a thread beside it that wants the lock is let in when
    the loop falls idle, or after 2 ms.
    """

    def __init__(self, clock: SimulatedClock, processor: Processor, cores: int = 1) -> None:
        """Work on so many ``cores`` of the processor at once."""
        self._clock = clock
        self._processor = processor
        self._cores = cores
        self._waiting: deque[_Job] = deque()
        self._threads: deque[tuple[float, _Job]] = deque()
        self._busy = False
        self._busy_s = 0.0
        self._since_s = 0.0  # when it last began or ended to be busy
        self._cold = 1.0

    @property
    def busy_s(self) -> float:
        """How long it has been at work so far."""
        return self._busy_s + (self._clock.now_s - self._since_s if self._busy else 0.0)

    def do(self, step: Step, done: Callable[..., None], *args: Any) -> None:
        """Do a piece of work when its turn comes; ``done`` is called when its effect is out."""
        job = _Job(step, done, args)
        if self._busy:
            self._waiting.append(job)
        else:
            self._wake(job)

    def let_in(self, step: Step, done: Callable[..., None], *args: Any) -> None:
        """Do a piece of a thread's work, which waits for the interpreter's lock."""
        job = _Job(step, done, args)
        if self._busy:
            self._threads.append((self._clock.now_s, job))
        else:
            self._wake(job)

    def _wake(self, job: _Job) -> None:
        idle_s = self._clock.now_s - self._since_s
        self._cold = 1.0 - (1.0 - self._cold) * math.exp(-idle_s / _COOLING_S)
        self._busy, self._since_s = True, self._clock.now_s
        self._begin(job)

    def _begin(self, job: _Job) -> None:
        step = job.step
        cold = self._cold * math.sqrt(self._processor.cold)
        work_s = step.warm_s + cold * (step.cold_s - step.warm_s)
        self._cold *= math.exp(-work_s / _WARMING_S)

        def out() -> None:
            if step.on_path < 1.0:
                self._run(work_s * (1.0 - step.on_path), self._next)
            job.done(*job.args)
            if step.on_path >= 1.0:
                self._next()

        self._run(work_s * step.on_path, out)

    def _run(self, work_s: float, done: Callable[[], None]) -> None:
        """Keep all of the worker's cores at work; the last to finish calls ``done``."""
        left = self._cores

        def one_done() -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        for _ in range(self._cores):
            self._processor.run(work_s, done if self._cores == 1 else one_done)

    def _next(self) -> None:
        waited_s = self._clock.now_s - self._threads[0][0] if self._threads else 0.0
        if self._threads and (not self._waiting or waited_s >= _SWITCH_S):
            self._begin(self._threads.popleft()[1])
        elif self._waiting:
            self._begin(self._waiting.popleft())
        else:
            self._busy_s = self.busy_s
            self._busy, self._since_s = False, self._clock.now_s


class ModelThread:
    """A model's thread: one run at a time, each of which waits for the interpreter's lock first."""

    def __init__(
        self, clock: SimulatedClock, processor: Processor, loop: Worker, cores: int = 1
    ) -> None:
        """Compute on so many ``cores``; the lock is the ``loop``'s while that is busy."""
        self._clock = clock
        self._loop = loop
        self._worker = Worker(clock, processor, cores)
        self._waiting: deque[tuple[Step, Step, _Job]] = deque()
        self._busy = False
        self._busy_s = 0.0
        self._since_s = 0.0

    @property
    def busy_s(self) -> float:
        """How long it has had a run in hand so far, its waits for the lock among that."""
        return self._busy_s + (self._clock.now_s - self._since_s if self._busy else 0.0)

    def run(self, held: Step, free: Step, done: Callable[..., None], *args: Any) -> None:
        """Compute ``held`` with the lock, then ``free`` without it, then call ``done``."""
        self._waiting.append((held, free, _Job(TURN, done, args)))
        if not self._busy:
            self._busy, self._since_s = True, self._clock.now_s
            self._begin()

    def _begin(self) -> None:
        held, free, job = self._waiting.popleft()
        self._loop.let_in(held, self._worker.do, free, self._end, job)

    def _end(self, job: _Job) -> None:
        if self._waiting:
            self._begin()
        else:
            self._busy_s = self.busy_s
            self._busy = False
        job.done(*job.args)


class _Job(NamedTuple):
    step: Step
    done: Callable[..., None]
    args: tuple[Any, ...]
