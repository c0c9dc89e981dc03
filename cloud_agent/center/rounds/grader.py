"""What came of a job, made of the result that an agent sent: grade, and the time it took there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloud_agent.center.grading import grade, kind_named
from cloud_agent.center.placement.jobs import JobOutcome
from shared.messages import Failure
from shared.tasks import to_line

if TYPE_CHECKING:
    from cloud_agent.center.rounds.fleet import FleetView
    from cloud_agent.center.rounds.ledger import JobEntry
    from shared.messages import Hop, Result

_MEMORY: Final = 0.8
_LEAST_SHARE: Final = 0.05
"""Of its time at the agent that a job is taken to have kept it busy, at the least."""
_LEAST_S: Final = 1e-6


class Grader:
    """Grades answers, and keeps track of when each node was free and how far away it is."""

    def __init__(self, fleet: FleetView) -> None:
        self.rtt_s: dict[str, float] = {}
        """How long a job and its answer are on their way, smoothed, by node."""
        self._fleet = fleet
        self._free_s: dict[str, float] = {}
        """When each node gave its last answer."""

    def outcome(
        self, entry: JobEntry, result: Result, now_s: float, deadline_s: float
    ) -> JobOutcome | None:
        """Return what came of a job, or None where nobody knows which model answered.

        An agent that sends a job on to a tier above is not the one that is graded.
        """
        hop = result.hops[-1] if result.hops else None
        model = self._fleet.model_of(hop.agent) if hop is not None else None
        if hop is None or model is None or isinstance(result.outcome, Failure):
            return None
        posted = entry.posted
        references = posted.references
        graded = grade(posted.kind, to_line(result.outcome), references) if references else None
        latency_s = now_s - entry.came_s
        return JobOutcome(
            job=entry.job.id,
            kind=posted.kind,
            node=hop.agent,
            model=model,
            grade=graded,
            tokens=kind_named(posted.kind).tokens,
            service_s=self._service_s(entry, hop, now_s),
            latency_s=latency_s,
            in_time=latency_s <= deadline_s,
        )

    def silence(self, entry: JobEntry, now_s: float) -> JobOutcome | None:
        """Return what is known of a job that a node has been silent about: it takes longer."""
        model = self._fleet.model_of(entry.node)
        if model is None:
            return None
        waited_s = max(now_s - entry.sent_s, _LEAST_S)
        return JobOutcome(
            job=entry.job.id,
            kind=entry.posted.kind,
            node=entry.node,
            model=model,
            grade=None,
            tokens=kind_named(entry.posted.kind).tokens,
            service_s=waited_s,
            latency_s=waited_s,
            in_time=False,
            censored=True,
        )

    def _service_s(self, entry: JobEntry, hop: Hop, now_s: float) -> float:
        """Return how long a job kept its node busy: since it came there, or was free again."""
        there_s = hop.elapsed_us / 1e6
        away_s = max(now_s - entry.sent_s - there_s, _LEAST_S)
        before_s = self.rtt_s.get(hop.agent, away_s)
        self.rtt_s[hop.agent] = _MEMORY * before_s + (1 - _MEMORY) * away_s
        since_s = now_s - self._free_s.get(hop.agent, 0.0)
        self._free_s[hop.agent] = now_s
        return max(min(there_s, since_s), _LEAST_SHARE * there_s, _LEAST_S)
