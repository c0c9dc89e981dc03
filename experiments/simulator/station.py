"""What device and upper agents have in common in simulated time: a tier, a model, a way up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.messages import Result, Scored
from shared.protocol.evidence import Learn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from experiments.simulator.batcher import SimulatedBatcher
    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import Step, Worker
    from experiments.simulator.dispatcher import SimulatedDispatcher
    from shared.cascade.tier import Escalation, Tier
    from shared.errors import PromptError
    from shared.messages import Prompt
    from shared.protocol.evidence import Evidence
    from shared.tasks import Answer


class RecordedAnswer(NamedTuple):
    """What a tier's model says to a text, and how sure it is."""

    answer: Answer
    confidence: float


class SimulatedStation:
    """Scores and decides as a real station does; the model's answers are known beforehand."""

    def __init__(
        self,
        clock: SimulatedClock,
        name: str,
        tier: Tier,
        batcher: SimulatedBatcher,
        loop: Worker,
        spoken: Mapping[str, RecordedAnswer],
        upward: SimulatedDispatcher | None,
    ) -> None:
        self.clock = clock
        self.name = name
        self.tier = tier
        self.batcher = batcher
        self.loop = loop
        self.upward = upward
        self._spoken = spoken

    def process(
        self, prompt: Prompt, step: Step, settled: Callable[[Result | Escalation], None]
    ) -> None:
        """Call ``settled`` with a result, or with the prompt as it is to be sent up.

        ``step`` is what the agent's loop has to do once the model is done.
        """
        arrived_s = self.clock.now_s

        def scored(error: PromptError | None) -> None:
            self.loop.do(step, decide, error)

        def decide(error: PromptError | None) -> None:
            if error is not None:
                settled(Result.failure(prompt, error))
                return
            settled(self._decide(prompt, arrived_s))

        size = len(prompt.text.encode())
        self.batcher.score(size, prompt.deadline_s, prompt.priority, prompt.origin, scored)

    def heed(self, evidence: Evidence) -> None:
        """Take in what word from above tells of a prompt, or of an agent there."""
        if isinstance(evidence, Learn):
            self.tier.learn(evidence.escalation, evidence.result)
        else:
            self.above.heed(evidence)

    @property
    def above(self) -> SimulatedDispatcher:
        """The way up; only a tier with tiers above has one."""
        assert self.upward is not None, "only a tier with tiers above sends up"  # noqa: S101
        return self.upward

    def _decide(self, prompt: Prompt, arrived_s: float) -> Result | Escalation:
        answer, confidence = self._spoken[prompt.text]
        scored = Scored(answer, confidence, elapsed_us=0)
        now_s = self.clock.now_s
        return self.tier.decide(self.name, prompt, scored, arrived_s=arrived_s, now_s=now_s)
