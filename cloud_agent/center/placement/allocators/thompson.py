"""Thompson sampling: the best by a draw from what is believed.

What is unsure is sometimes drawn better than it is, and so is tried. The service times are taken
at their means: a draw of the grade alone explores models, and the queues explore nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.allocators.expected import largest
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class Thompson(Closed, frozen=True, kw_only=True, tag_field="kind", tag="thompson"):
    """The best by a draw from the beliefs."""


class ThompsonAllocator:
    """Draws a grade for each model from the belief about it, and takes the best node by them."""

    def __init__(self, settings: Thompson, context: AllocatorContext) -> None:
        del settings
        self.outlooks = context.beliefs
        self._preference = context.preference
        self._draw = context.draw

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node that is worth most if the grades are what was drawn."""
        grades = {model: self._grade(model, job.kind) for model in {c.model for c in candidates}}
        return largest([self._worth(job, each, grades[each.model]) for each in candidates])

    def learn(self, outcome: JobOutcome) -> None:
        """Do nothing: the beliefs are the centre's."""

    def _grade(self, model: str, kind: str) -> float:
        belief = self.outlooks.quality(model, kind)
        return self._draw.betavariate(belief.alpha, belief.beta)

    def _worth(self, job: FleetJob, candidate: OpenNode, grade: float) -> float:
        outlook = self.outlooks.outlook(candidate.node, candidate.model, job.kind)
        latency_s = candidate.rtt_s + candidate.backlog_s + outlook.service_s
        return self._preference.expected(grade, latency_s, outlook.spread_s)
