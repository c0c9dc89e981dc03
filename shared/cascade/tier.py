"""The decision, once for every tier: keep a scored prompt here or escalate it.

Values in, a value out: no I/O, clock, transport or model. A tier is a name, a policy for each task,
and the names of the tiers above it, nearest first; the top of the cascade has none.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from shared.cascade.policies import LEARNING, Policy, PolicySettings, Quantile, Routing, make_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.cascade.policies import Feedback, Observation
    from shared.messages import Task


class Tier:
    """One level of the cascade.

    Each task has a policy of its own, since confidences of different tasks are not comparable.
    ``seed`` fixes the draws of policies that make any.
    """

    def __init__(
        self,
        name: str,
        policy: PolicySettings | None = None,
        above: Sequence[str] = (),
        *,
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.above = tuple(above)
        self._settings = policy or Quantile()
        self._draw = random.Random(seed)  # noqa: S311 - draws prompts, guards nothing
        self._policies: dict[Task, Policy] = {}

    @property
    def learns(self) -> bool:
        """Whether the policy wants to know what became of the prompts it sent up."""
        return isinstance(self._settings, LEARNING)

    def judge(self, task: Task, seen: Observation) -> Routing:
        """Say where a scored prompt goes.

        The top tier keeps everything; its policy still sees each prompt, so that a hop can show
        the threshold. A verdict never points above the top.
        """
        policy = self._policies.get(task)
        if policy is None:
            policy = self._policies[task] = make_policy(self._settings, self._draw, len(self.above))
        verdict = policy.decide(seen)
        if verdict.up <= len(self.above):
            return verdict
        return Routing(len(self.above), verdict.threshold)

    def learn(self, task: Task, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Tell the task's policy what became of a prompt that was sent up."""
        self._policies[task].learn(seen, sent, returned)

    def report(self, task: Task) -> dict[str, float]:
        """Return what the task's policy believes, by the name of the figure."""
        policy = self._policies.get(task)
        return policy.report() if policy is not None else {}
