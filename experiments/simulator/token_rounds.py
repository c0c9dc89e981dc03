"""Texts that join and leave one by one, as ``shared.serving.token_rounds``, simulated.

Each step makes a token of every text under way, the first of each reads its prompt. Who joins and
when a round ends is as there; what a prompt weighs is reckoned by the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from experiments.simulator.cpu import TURN
from experiments.simulator.service_times import TextStep
from shared.protocol.token_work import ROUND_S, TokenWork, left, to_read
from shared.tasks.generate import NEW_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import ModelThread, Worker
    from experiments.simulator.service_times import WritingServiceTimes
    from experiments.simulator.waiting import BatchCounts, WaitingPrompt, Work
    from shared.protocol.batch_queue import BatchQueue


class WritingLimits(NamedTuple):
    """Texts under way at once and tokens that they may hold together; tokens of an answer."""

    at_once: int
    tokens_at_once: int
    new_tokens: int | None = None


@dataclass(eq=False)
class _SimulatedText:
    waiting: WaitingPrompt
    tokens: int
    """That it holds at most."""
    slowness: float
    written: int = 0


class SimulatedTokenRounds:
    """Makes steps until a text ends, somebody comes who may join, or the round is over."""

    def __init__(
        self,
        clock: SimulatedClock,
        loop: Worker,
        thread: ModelThread,
        times: WritingServiceTimes,
        queue: BatchQueue[WaitingPrompt],
        tally: BatchCounts,
        limits: WritingLimits,
    ) -> None:
        self._clock = clock
        self._loop = loop
        self._thread = thread
        self._times = times
        self._queue = queue
        self._tally = tally
        self._limits = limits
        self._work = TokenWork()
        self._running: list[_SimulatedText] = []
        self._held: list[_SimulatedText] = []
        self._ended: list[_SimulatedText] = []
        self._looked = False
        self._until_s = self._begun_s = 0.0
        self._made = self._unmeasured_s = 0.0

    @property
    def under_way(self) -> bool:
        """Whether a text is being written."""
        return bool(self._running or self._held)

    @property
    def mean_weight(self) -> float:
        """Weight of a prompt, as a rule."""
        return self._work.mean

    def weigh(self, work: Work) -> float:
        """Return about how many tokens' work a prompt is."""
        return self._work.weigh(work.prompt_bytes, work.new_tokens)

    def look(self) -> None:
        """Have the steps of this round end: somebody came."""
        self._looked = True

    def go_on(self, done: Callable[[], None]) -> None:
        """Let in whoever may join, and make some steps."""
        slots = max(self._limits.at_once - len(self._running), 0)
        joining = self._queue.join(slots) if not self._held else []
        now_s = self._clock.now_s
        if joining:
            together = len(self._running) + len(joining)
            self._tally.run(together, [now_s - waiting.since_s for waiting in joining])
        cold = not self.under_way
        self._held += [self._begin(waiting) for waiting in joining]
        self._looked = False
        self._begun_s, self._until_s = now_s, now_s + ROUND_S
        self._step(done, cold=cold)

    def _begin(self, waiting: WaitingPrompt) -> _SimulatedText:
        work = waiting.work
        new_tokens = work.new_tokens or NEW_TOKENS
        most = min(new_tokens, self._limits.new_tokens or new_tokens)
        return _SimulatedText(waiting, work.tokens_in + most, self._times.slowness())

    def _step(self, done: Callable[[], None], *, cold: bool = False) -> None:
        """Have the model's thread make a token of every text that somebody waits for."""
        self._drop_unwanted()
        while self._held and self._fits(self._held[0]):
            self._running.append(self._held.pop(0))
        if not self._running:
            self._finish(done)
            return
        texts = [
            TextStep(0 if text.written else text.waiting.work.tokens_in, text.slowness)
            for text in self._running
        ]
        self._thread.run(*self._times.steps(texts, cold=cold), self._stepped, done)

    def _stepped(self, done: Callable[[], None]) -> None:
        """Count a token of each; this is in the model's thread."""
        for text in self._running:
            work = text.waiting.work
            self._made += 1.0 if text.written else 1.0 + to_read(work.prompt_bytes)
            text.written += 1
            if text.written >= work.tokens_out:
                self._ended.append(text)
                self._work.ended(text.written)
        self._running = [text for text in self._running if text not in self._ended]
        over = self._ended or self._looked or self._clock.now_s > self._until_s
        if over or not self._running:
            self._loop.do(TURN, self._finish, done)
        else:
            self._step(done)

    def _finish(self, done: Callable[[], None]) -> None:
        """Tell of what ended, in its turn on the agent's loop."""
        self._unmeasured_s += self._clock.now_s - self._begun_s
        if self._made:
            self._queue.measure_unit(self._unmeasured_s / self._made)
            self._made = self._unmeasured_s = 0.0
        ended, self._ended = self._ended, []
        under_way = (*self._running, *self._held)
        self._queue.leave(len(ended), sum(left(t.waiting.weight, t.written) for t in under_way))
        for text in ended:
            if not text.waiting.done():
                self._tally.tokens_read += text.waiting.work.tokens_in
                self._tally.tokens_written += text.written
            text.waiting.tell(None)
        done()

    def _drop_unwanted(self) -> None:
        for texts in (self._running, self._held):
            for text in tuple(texts):
                if text.waiting.done():
                    texts.remove(text)
                    self._ended.append(text)

    def _fits(self, text: _SimulatedText) -> bool:
        held = sum(other.tokens for other in self._running)
        return not self._running or held + text.tokens <= self._limits.tokens_at_once
