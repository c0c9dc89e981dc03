"""The decision, once for every tier: keep a scored prompt here or escalate it.

Values in, a value out: no I/O, clock, transport or model. A tier is a name, a policy for each task,
and the names of the tiers above it, nearest first; the top of the cascade has none. What comes back
from above is what policies learn from.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec

from shared.cascade.policies import (
    Feedback,
    Observation,
    Policy,
    PolicyContext,
    PolicySettings,
    Quantile,
    Remembering,
    Routing,
    hand_over,
    judges_memories,
    learns,
    make_policy,
)
from shared.messages import REASON_CHARACTERS, Failure, Hop, Prompt, Result
from shared.tasks import agrees, label_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.errors import PromptError
    from shared.messages import Scored
    from shared.tasks import Task


class Escalation(msgspec.Struct, frozen=True):
    """A prompt on its way up, with all that its tier needs to take it back or to learn from it.

    ``prompt`` has this tier's hop behind it; ``local_result`` is what this tier would answer, or
    why it cannot.
    """

    prompt: Prompt
    local_result: Result
    observation: Observation
    routing: Routing

    @property
    def remembered(self) -> bool:
        """Whether our answer is a remembered one that goes up to be checked."""
        return self.observation.way == "memory"

    @property
    def scored(self) -> bool:
        """Whether we have an answer of our own, so that what comes back tells how right it was."""
        return not isinstance(self.local_result.outcome, Failure)

    def degraded(self, reason: str) -> Result:
        """Return our own answer, marked as second best; where we have none, why nobody has one."""
        ours = self.local_result.outcome
        if isinstance(ours, Failure):
            both = Failure(ours.code, f"{ours.reason}; {reason}"[:REASON_CHARACTERS])
            return msgspec.structs.replace(self.local_result, outcome=both)
        return msgspec.structs.replace(self.local_result, degraded=reason)


class Tier:
    """One level of the cascade.

    Each task has a policy of its own, since confidences of different tasks are not comparable.
    ``seed`` fixes the draws of policies that make any; ``expected`` holds quantiles of the model's
    confidences at equal steps, for each task of which they are known.
    """

    def __init__(
        self,
        name: str,
        policy: PolicySettings | None = None,
        above: Sequence[str] = (),
        *,
        seed: int | None = None,
        expected: Mapping[Task, Sequence[float]] | None = None,
    ) -> None:
        self.name = name
        self.above = tuple(above)
        self.policy = policy or Quantile()
        """The settings that are decided by; ``go_by`` changes them."""
        self._draw = random.Random(seed)  # noqa: S311 - draws prompts, guards nothing
        self._expected = expected or {}
        self._policies: dict[Task, Policy] = {}
        self.changes = 0
        """How often the policies took something in; while it stands, so does what they remember."""

    @property
    def learns(self) -> bool:
        """Whether the policy wants to know what became of the prompts it sent up."""
        return learns(self.policy)

    def decide(
        self,
        agent: str,
        prompt: Prompt,
        scored: Scored,
        *,
        arrived_s: float,
        now_s: float,
        copy: bool = False,
    ) -> Result | Escalation:
        """Decide on a prompt that came to an agent at ``arrived_s`` and was answered by ``now_s``.

        With ``copy`` whoever answers above tells this agent too; a policy that learns asks for that
        by itself.
        """
        observation = Observation(
            scored.confidence,
            now_s,
            prompt.size_bytes,
            prompt.text,
            label_of(scored.answer) if scored.confidence_kind == "agreement" else "",
            scored.way,
            scored.check,
            scored.chance,
        )
        routing = self._route_scored(prompt.task, observation)
        elapsed_us = int((now_s - arrived_s) * 1e6)
        hop = Hop(
            self.name,
            agent,
            routing.held(observation),
            routing.threshold,
            elapsed_us,
            scored.confidence_kind,
            scored.certainty if scored.certainty != scored.confidence else None,
            scored.source,
        )
        local_result = Result(prompt.id, scored.answer, (*prompt.hops, hop))
        if not routing.up:
            return local_result
        onward = prompt.after(hop, copy=copy or self.learns)
        return Escalation(onward, local_result, observation, routing)

    def pass_on(
        self, agent: str, prompt: Prompt, error: PromptError, *, arrived_s: float, now_s: float
    ) -> Escalation:
        """Return a prompt that we cannot answer, as it goes to the next tier.

        No policy sees it, and none learns from it: nothing was scored.
        """
        hop = Hop(self.name, agent, 0.0, 0.0, int((now_s - arrived_s) * 1e6))
        failed = Result.failure(prompt, error)
        local_result = msgspec.structs.replace(failed, hops=(*prompt.hops, hop))
        unseen = Observation(0.0, now_s, prompt.size_bytes)
        return Escalation(prompt.after(hop), local_result, unseen, Routing(1, 0.0))

    def route(self, task: Task, observation: Observation) -> Routing:
        """Say how many tiers up a scored prompt goes.

        The top tier keeps everything; its policy still sees each prompt, so that a hop can show
        the threshold. A routing never points above the top.
        """
        self.changes += 1
        policy = self._policies.get(task) or self._begin(task)
        routing = policy.decide(observation)
        if routing.up <= len(self.above):
            return routing
        return routing._replace(up=len(self.above))

    def _route_scored(self, task: Task, observation: Observation) -> Routing:
        """Ask the policy about what a model scored; a remembered answer is few policies' number."""
        if observation.way != "memory" or judges_memories(self.policy):
            return self.route(task, observation)
        return Routing(1, 1.0) if observation.check and self.above else Routing(0, 0.0)

    def learn(self, escalation: Escalation, result: Result) -> None:
        """Tell the policy what became of a prompt that was sent up."""
        if (
            not self.learns
            or result.tier not in self.above
            or not escalation.scored
            or (escalation.remembered and not judges_memories(self.policy))
        ):
            return
        feedback = Feedback(
            agreed=_agree(escalation.local_result, result),
            confidence=result.confidence,
            up=self.above.index(result.tier) + 1,
            label="" if isinstance(result.outcome, Failure) else label_of(result.outcome),
        )
        self.feed_back(escalation.prompt.task, escalation.observation, escalation.routing, feedback)

    def feed_back(
        self, task: Task, observation: Observation, routing: Routing, feedback: Feedback
    ) -> None:
        """Tell the task's policy what became of one observation."""
        self.changes += 1
        self._policies[task].learn(observation, routing, feedback)

    def remember(self, now_s: float) -> dict[Task, Any]:
        """Return what the policies have seen and learned, as far as it can be written down."""
        return {
            task: policy.remember(now_s)
            for task, policy in self._policies.items()
            if isinstance(policy, Remembering)
        }

    def recall(self, task: Task, memory: Any, at_s: float) -> None:
        """Let the task's policy take up what an earlier life remembered at ``at_s``, on our clock.

        Raises ``ValueError`` when it is not of such a policy, which then begins as ever.
        """
        policy = self._policies.get(task) or self._begin(task)
        if not isinstance(policy, Remembering):
            raise ValueError("such a policy remembers nothing")  # noqa: TRY004 - what was kept is wrong
        try:
            policy.recall(memory, at_s)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    def begin_anew(self, expected: Mapping[Task, Sequence[float]]) -> None:
        """Forget what was seen and learned: another model answers, and ``expected`` is of that."""
        self._expected = expected
        self.changes += 1
        for task in tuple(self._policies):
            self._begin(task)

    def go_by(self, policy: PolicySettings, now_s: float) -> None:
        """Decide by other settings from now on; what was seen goes over as ``hand_over`` says."""
        before, self._policies = self._policies, {}
        self.policy = policy
        self.changes += 1
        for task, old in before.items():
            hand_over(old, self._begin(task), now_s)

    def _begin(self, task: Task) -> Policy:
        context = PolicyContext(self._draw, len(self.above), self._expected.get(task, ()))
        policy = self._policies[task] = make_policy(self.policy, context)
        return policy

    def report(self, task: Task) -> dict[str, float]:
        """Return what the task's policy believes, by the name of the figure."""
        policy = self._policies.get(task)
        return policy.report() if policy is not None else {}


def _agree(ours: Result, theirs: Result) -> bool:
    """Say whether two results have answers, and those mean the same."""
    if isinstance(ours.outcome, Failure) or isinstance(theirs.outcome, Failure):
        return False
    return agrees(ours.outcome, theirs.outcome)
