"""A scored prompt at one agent: its hop, what becomes of it, and what is learned from its result.

Pure: told the time. ``shared.serving.station`` adds the model and the metrics around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.cascade.policies import Feedback, Observation, Routing
from shared.messages import Hop, Prompt, Result

if TYPE_CHECKING:
    from shared.cascade.escalated import Escalation
    from shared.cascade.tier import Tier
    from shared.messages import Answer


class Judged(NamedTuple):
    """A prompt that this tier has seen: with its hop, our own answer, and what was decided."""

    prompt: Prompt
    own: Result
    seen: Observation
    verdict: Routing


def judge(
    tier: Tier,
    agent: str,
    prompt: Prompt,
    answer: Answer,
    confidence: float,
    *,
    arrived_s: float,
    now_s: float,
) -> Judged:
    """Decide on a prompt that came to this agent at ``arrived_s`` and was answered by ``now_s``."""
    seen = Observation(confidence, now_s, len(prompt.text.encode()))
    verdict = tier.judge(prompt.task, seen)
    elapsed_us = int((now_s - arrived_s) * 1e6)
    judged = prompt.after(
        Hop(tier.name, agent, confidence, verdict.threshold, elapsed_us), copy=tier.learns
    )
    return Judged(judged, Result(prompt.id, answer, judged.hops), seen, verdict)


def learn(tier: Tier, escalated: Escalation, result: Result) -> None:
    """Tell the tier's policy what became of a prompt that it sent up."""
    if tier.learns and result.tier in tier.above:
        up = tier.above.index(result.tier) + 1
        agreed = result.outcome == escalated.own.outcome
        returned = Feedback(agreed, result.confidence, up)
        tier.learn(escalated.prompt.task, escalated.seen, escalated.verdict, returned)
