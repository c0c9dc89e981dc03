"""What device and upper agents have in common in simulated time: a tier, a model, a way up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.cascade.escalated import Escalation, failed
from shared.cascade.judging import judge, learn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from experiments.simulator.batcher import SimulatedBatcher
    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import Step, Worker
    from experiments.simulator.dispatcher import SimulatedDispatcher
    from shared.cascade.tier import Tier
    from shared.errors import PromptError
    from shared.messages import Answer, Prompt, Result


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

    def settle(
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
                settled(failed(prompt, error))
                return
            settled(self._judge(prompt, arrived_s))

        size = len(prompt.text.encode())
        self.batcher.score(size, prompt.deadline_s, prompt.priority, prompt.origin, scored)

    def learn(self, escalated: Escalation, result: Result) -> None:
        """Tell the policy what became of a prompt that it sent up."""
        learn(self.tier, escalated, result)

    def _judge(self, prompt: Prompt, arrived_s: float) -> Result | Escalation:
        spoken = self._spoken[prompt.text]
        judged = judge(
            self.tier, self.name, prompt, *spoken, arrived_s=arrived_s, now_s=self.clock.now_s
        )
        return Escalation(*judged) if judged.verdict.up else judged.own
