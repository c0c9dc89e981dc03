"""The best by what has been learned, and now and then anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from cloud_agent.center.placement.allocators.learned import Learned, LearnedAllocator
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode


class EpsilonGreedy(Closed, frozen=True, kw_only=True, tag_field="kind", tag="epsilon-greedy"):
    """The best by what has been learned, but for a share of the jobs."""

    epsilon: Annotated[float, Meta(ge=0, le=1, description="share of jobs placed at random")] = 0.1


class EpsilonGreedyAllocator:
    """Tosses for each job whether to look at what it has learned."""

    def __init__(self, settings: EpsilonGreedy, context: AllocatorContext) -> None:
        self._epsilon = settings.epsilon
        self._draw = context.draw
        self._best = LearnedAllocator(Learned(), context)
        self.outlooks = self._best.outlooks

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return a node at random for a share of the jobs, and the best one for the others."""
        if self._draw.random() < self._epsilon:
            return self._draw.randrange(len(candidates))
        return self._best.choose(job, candidates)

    def learn(self, outcome: JobOutcome) -> None:
        """Do nothing: the beliefs are the centre's."""
