"""What device and upper agents have in common in simulated time: a tier, a model, a way up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from experiments.evaluation.answer_store import prompt_key
from experiments.simulator.waiting import Work
from shared.messages import Result, Scored
from shared.protocol.evidence import Learn
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from experiments.simulator.batcher import SimulatedBatcher
    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import Step, Worker
    from experiments.simulator.dispatcher import SimulatedDispatcher
    from shared.cascade.tier import Escalation, Tier
    from shared.errors import PromptError
    from shared.messages import ConfidenceKind, Prompt
    from shared.protocol.evidence import Evidence
    from shared.tasks import Answer, Task


class RecordedAnswer(NamedTuple):
    """What a tier's model says to a prompt, and how sure it is by which number."""

    answer: Answer
    confidence: float
    kind: ConfidenceKind = "max_probability"


class SimulatedStation:
    """Scores and decides as a real station does; the model's answers are known beforehand."""

    def __init__(
        self,
        clock: SimulatedClock,
        name: str,
        tier: Tier,
        batcher: SimulatedBatcher,
        loop: Worker,
        task: Task,
        spoken: Mapping[bytes, RecordedAnswer],
        upward: SimulatedDispatcher | None,
    ) -> None:
        """``spoken`` has what the model says to each prompt of its ``task``, by ``prompt_key``."""
        self.clock = clock
        self.name = name
        self.tier = tier
        self.batcher = batcher
        self.loop = loop
        self.upward = upward
        self.task = task
        self._spoken = spoken

    def process(
        self, prompt: Prompt, step: Step, settled: Callable[[Result | Escalation], None]
    ) -> None:
        """Call ``settled`` with a result, or with the prompt as it is to be sent up.

        ``step`` is what the agent's loop has to do once the model is done.
        """
        arrived_s = self.clock.now_s
        said = self._spoken[prompt_key(prompt.text, prompt.options)]

        def scored(error: PromptError | None) -> None:
            self.loop.do(step, decide, error)

        def decide(error: PromptError | None) -> None:
            if error is not None:
                settled(Result.failure(prompt, error))
                return
            settled(self._decide(prompt, said, arrived_s))

        work = _work_of(prompt, said.answer)
        self.batcher.score(work, prompt.deadline_s, prompt.priority, prompt.origin, scored)

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

    def _decide(
        self, prompt: Prompt, said: RecordedAnswer, arrived_s: float
    ) -> Result | Escalation:
        scored = Scored(said.answer, said.confidence, elapsed_us=0, confidence_kind=said.kind)
        now_s = self.clock.now_s
        return self.tier.decide(self.name, prompt, scored, arrived_s=arrived_s, now_s=now_s)


def _work_of(prompt: Prompt, answer: Answer) -> Work:
    if not isinstance(answer, Completion):
        return Work(prompt.size_bytes)
    wanted = prompt.options.get("max_new_tokens")
    new_tokens = wanted if isinstance(wanted, int) else None
    return Work(prompt.size_bytes, answer.tokens_in, answer.tokens_out, new_tokens)
