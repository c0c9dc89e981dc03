"""Anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.beliefs import CatalogueOutlooks
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class Uniform(Closed, frozen=True, kw_only=True, tag_field="kind", tag="random"):
    """A node at random."""


class UniformAllocator:
    """Tosses."""

    def __init__(self, settings: Uniform, context: AllocatorContext) -> None:
        del settings
        self.outlooks: Outlooks = CatalogueOutlooks(context.catalogue)
        self._draw = context.draw

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return any node, each as likely as another."""
        del job
        return self._draw.randrange(len(candidates))

    def learn(self, outcome: JobOutcome) -> None:
        """Learn nothing."""
