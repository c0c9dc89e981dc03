"""The jobs of a round, given out one by one: a batch spreads by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloud_agent.center.placement.allocators import Allocator
    from cloud_agent.center.placement.jobs import FleetJob, OpenNode


def give_out(
    jobs: Iterable[FleetJob], candidates: Sequence[OpenNode], allocator: Allocator
) -> Iterator[tuple[FleetJob, OpenNode]]:
    """Yield each job with the node that gets it, those that end first before the others.

    What a job is expected to take is added to the backlog of its node, for those that follow.
    Without a candidate nothing is given out.
    """
    if not candidates:
        return
    for job in sorted(jobs, key=lambda job: job.deadline_s):
        candidate = candidates[allocator.choose(job, candidates)]
        yield job, candidate
        outlook = allocator.outlooks.outlook(candidate.node, candidate.model, job.kind)
        candidate.backlog_s += outlook.service_s
