"""What every allocator takes and returns: values in, a value out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from cloud_agent.center.catalogue.cards import Catalogue
    from cloud_agent.center.placement.beliefs import Beliefs, Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode
    from cloud_agent.center.placement.preferences import Preference


class AllocatorContext(NamedTuple):
    """What an allocator begins with, besides its settings.

    ``beliefs`` are the centre's, which it keeps up to date itself. ``nodes`` are all that there
    are, for those that need a fixed number of them, and ``truth`` is what a simulator knows.
    """

    catalogue: Catalogue
    beliefs: Beliefs
    preference: Preference
    draw: random.Random
    nodes: Sequence[str] = ()
    truth: Outlooks | None = None


class Allocator(Protocol):
    """Chooses who answers a job.

    ``outlooks`` is what it goes by: how long the jobs that it has placed will keep their nodes,
    and where models should lie, is reckoned with the same.
    """

    @property
    def outlooks(self) -> Outlooks:
        """What it expects of a job on a node."""

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return the index of the node that gets the job; there is at least one candidate."""

    def learn(self, outcome: JobOutcome) -> None:
        """Take in what came of a job, after the centre's beliefs have."""
