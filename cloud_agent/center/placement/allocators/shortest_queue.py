"""Whoever has least to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.beliefs import CatalogueOutlooks
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class ShortestQueue(Closed, frozen=True, kw_only=True, tag_field="kind", tag="shortest-queue"):
    """The least backlog."""


class ShortestQueueAllocator:
    """Looks at nothing but the queues; the catalogue tells it how long a job keeps a node."""

    def __init__(self, settings: ShortestQueue, context: AllocatorContext) -> None:
        del settings
        self.outlooks: Outlooks = CatalogueOutlooks(context.catalogue)

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the node with the least backlog."""
        del job
        queues = [candidate.backlog_s for candidate in candidates]
        return queues.index(min(queues))

    def learn(self, outcome: JobOutcome) -> None:
        """Learn nothing."""
