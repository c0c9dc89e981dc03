"""What an allocator that looks ahead expects of a job on a node, by the centre's preference."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, OpenNode
    from cloud_agent.center.placement.preferences import Preference


class Expected(NamedTuple):
    """The worth of giving a job to a node, and what its answer would teach, in nats."""

    worth: float
    nats: float


def expect(kind: str, candidate: OpenNode, outlooks: Outlooks, preference: Preference) -> Expected:
    """Return what a job of this kind would bring there, behind what waits there already."""
    quality, service_s, spread_s, quality_nats, speed_nats = outlooks.outlook(
        candidate.node, candidate.model, kind
    )
    latency_s = candidate.rtt_s + candidate.backlog_s + service_s
    worth = preference.expected(quality, latency_s, spread_s)
    return Expected(worth, quality_nats + speed_nats)


def best(
    job: FleetJob, candidates: Sequence[OpenNode], outlooks: Outlooks, preference: Preference
) -> int:
    """Return the index of the node where the job is worth most."""
    return largest([expect(job.kind, each, outlooks, preference).worth for each in candidates])


def largest(values: list[float]) -> int:
    """Return the index of the largest value, the first of several."""
    return values.index(max(values))
