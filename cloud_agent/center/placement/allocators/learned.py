"""The same learned beliefs without the epistemic part: what is believed best now, always."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.allocators.expected import best
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class Learned(Closed, frozen=True, kw_only=True, tag_field="kind", tag="learned"):
    """The best by what has been learned."""


class LearnedAllocator:
    """Takes what is worth most by its outlooks."""

    def __init__(self, settings: Learned, context: AllocatorContext) -> None:
        del settings
        self.outlooks: Outlooks = context.beliefs
        self._preference = context.preference

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node where the job is worth most."""
        return best(job, candidates, self.outlooks, self._preference)

    def learn(self, outcome: JobOutcome) -> None:
        """Do nothing: the beliefs are the centre's."""
