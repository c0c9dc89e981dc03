"""A bounded queue before one model, as ``shared.serving.batcher`` has it, in simulated time.

What one round with the model is, is the business of ``experiments.simulator.batch_rounds`` and
``experiments.simulator.token_rounds``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from experiments.simulator.cpu import TURN
from experiments.simulator.waiting import WaitingPrompt
from shared.errors import Busy, Expired
from shared.protocol.batch_queue import TIME_RAN_OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import Worker
    from experiments.simulator.waiting import BatchCounts, Work
    from shared.errors import PromptError
    from shared.protocol.batch_queue import BatchQueue


class SimulatedRounds(Protocol):
    """One way to work through the queue, as ``shared.serving.rounds.Rounds``."""

    @property
    def under_way(self) -> bool:
        """Whether a further round has something to do, though nobody waits."""

    @property
    def mean_weight(self) -> float:
        """Weight of a prompt, as a rule."""

    def weigh(self, work: Work) -> float:
        """Return how much work a prompt is about."""

    def look(self) -> None:
        """Say that somebody came."""

    def go_on(self, done: Callable[[], None]) -> None:
        """Do one round, and call ``done`` in its turn on the agent's loop."""


class SimulatedBatcher:
    """Hands the model whatever waits, round by round, and never waits for a batch."""

    def __init__(
        self,
        clock: SimulatedClock,
        loop: Worker,
        queue: BatchQueue[WaitingPrompt],
        rounds: SimulatedRounds,
        tally: BatchCounts,
    ) -> None:
        """Take in prompts to a queue from which the ``rounds`` take, and count in their tally."""
        self._clock = clock
        self._loop = loop
        self.queue = queue
        self._rounds = rounds
        self.tally = tally
        self._going = False

    @property
    def service_s(self) -> float:
        """Smoothed time that the model takes for one prompt."""
        return self.queue.service_s * self._rounds.mean_weight

    def score(
        self,
        work: Work,
        deadline_s: float,
        priority: int,
        origin: str,
        scored: Callable[[PromptError | None], None],
    ) -> None:
        """Call ``scored`` when the model is done with the prompt, or with why it never was."""
        weight = self._rounds.weigh(work)
        waiting = WaitingPrompt(work, self._clock.now_s, weight, self.tally, scored)
        try:
            displaced = self.queue.put(waiting, origin, priority, work.prompt_bytes, weight)
        except Busy as error:
            scored(error)
            return
        self.tally.waiting += 1
        for other, busy in displaced:
            other.tell(busy)
        self._clock.at(deadline_s, waiting.tell, Expired(TIME_RAN_OUT))
        self._rounds.look()
        if not self._going:
            self._going = True
            self._loop.do(TURN, self._go_on)

    def _go_on(self) -> None:
        """Do a round with who waits by now; this comes in its turn on the agent's loop."""
        self._rounds.go_on(self._went_on)

    def _went_on(self) -> None:
        if len(self.queue) or self._rounds.under_way:
            self._go_on()
        else:
            self._going = False
