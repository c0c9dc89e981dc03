"""One after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.beliefs import CatalogueOutlooks
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class RoundRobin(Closed, frozen=True, kw_only=True, tag_field="kind", tag="round-robin"):
    """The nodes in turn."""


class RoundRobinAllocator:
    """Goes through the nodes by their names, past those that are no candidates."""

    def __init__(self, settings: RoundRobin, context: AllocatorContext) -> None:
        del settings
        self.outlooks: Outlooks = CatalogueOutlooks(context.catalogue)
        self._last = ""

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the first node after the last one by name, or the first of all."""
        del job
        names = sorted(candidate.node for candidate in candidates)
        self._last = next((name for name in names if name > self._last), names[0])
        return next(i for i, each in enumerate(candidates) if each.node == self._last)

    def learn(self, outcome: JobOutcome) -> None:
        """Learn nothing."""
