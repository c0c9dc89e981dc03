"""The best by the catalogue: the worth it promises, with the queues as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.allocators.expected import best
from cloud_agent.center.placement.beliefs import CatalogueOutlooks
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class Greedy(Closed, frozen=True, kw_only=True, tag_field="kind", tag="greedy"):
    """The best by the catalogue's numbers."""


class GreedyAllocator:
    """Believes the catalogue, and sees the queues."""

    def __init__(self, settings: Greedy, context: AllocatorContext) -> None:
        del settings
        self.outlooks: Outlooks = CatalogueOutlooks(context.catalogue)
        self._preference = context.preference

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node where the catalogue promises most."""
        return best(job, candidates, self.outlooks, self._preference)

    def learn(self, outcome: JobOutcome) -> None:
        """Learn nothing."""
