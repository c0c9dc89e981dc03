"""The best model by the catalogue, however long its queue; the shorter of two queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.beliefs import CatalogueOutlooks
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class GreedyAccuracy(Closed, frozen=True, kw_only=True, tag_field="kind", tag="greedy-accuracy"):
    """The most accurate model by the catalogue."""


class GreedyAccuracyAllocator:
    """Looks at nothing but accuracy."""

    def __init__(self, settings: GreedyAccuracy, context: AllocatorContext) -> None:
        del settings
        self._catalogue = context.catalogue
        self.outlooks: Outlooks = CatalogueOutlooks(context.catalogue)

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node with the best model for this kind, of several the least busy."""
        ranks = [
            (-self._catalogue[each.model].quality[job.kind], each.backlog_s) for each in candidates
        ]
        return ranks.index(min(ranks))

    def learn(self, outcome: JobOutcome) -> None:
        """Learn nothing."""
