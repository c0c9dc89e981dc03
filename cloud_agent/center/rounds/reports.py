"""What the rounds came to, told as events of the centre and as words on the bus."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.errors import BusError

if TYPE_CHECKING:
    from cloud_agent.center.events import EventLog
    from cloud_agent.center.placement.beliefs import Beliefs
    from cloud_agent.center.placement.jobs import JobOutcome
    from cloud_agent.center.placement.planner import FleetPlan
    from cloud_agent.center.placement.preferences import Preference
    from cloud_agent.center.rounds.decisions import DecisionLog
    from cloud_agent.center.rounds.ledger import JobEntry
    from shared.bus import Bus
    from shared.wire.topics import Topics


_LATELY: Final = 300


class RoundTally(msgspec.Struct, kw_only=True):
    """One round as it goes: how many jobs came to what, and where they went."""

    round: int
    begun_s: float
    answered: int = 0
    unanswered: int = 0
    grade_sum: float = 0.0
    graded: int = 0
    latency_sum_s: float = 0.0
    worth_sum: float = 0.0
    surprise: float = 0.0
    by_node: dict[str, int] = {}


class JobTotals(msgspec.Struct, kw_only=True):
    """What came of all jobs of one kind that one node answered."""

    answered: int = 0
    graded: int = 0
    grade_sum: float = 0.0
    latency_sum_s: float = 0.0

    @property
    def grade(self) -> float | None:
        """The mean grade, of those that could be graded."""
        return self.grade_sum / self.graded if self.graded else None

    @property
    def latency_s(self) -> float:
        """The mean time from a job's coming to its answer."""
        return self.latency_sum_s / max(self.answered, 1)


class RoundReports:
    """Adds up rounds, and tells each once it has ended."""

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        events: EventLog,
        preference: Preference,
        decisions: DecisionLog,
    ) -> None:
        """Tell rounds on this bus, and as these events.

        ``preference`` says what a job is worth; of ``decisions`` the last is told with each round.
        """
        self._bus = bus
        self._topics = topics
        self._events = events
        self._preference = preference
        self._decisions = decisions
        self.plan: dict[str, Any] | None = None
        """The plan that was told last."""
        self.lately: deque[dict[str, Any]] = deque(maxlen=_LATELY)
        """The rounds that ended last, the latest last."""
        self.totals: dict[tuple[str, str], JobTotals] = {}
        """By node and kind."""
        self._open: dict[int, RoundTally] = {}

    def begin(self, number: int, now_s: float) -> None:
        """Begin to add up a round."""
        self._open[number] = RoundTally(round=number, begun_s=now_s)

    def of_node(self, node: str) -> dict[str, JobTotals]:
        """Return what came of a node's jobs, by kind."""
        return {kind: each for (name, kind), each in sorted(self.totals.items()) if name == node}

    def ended(
        self, entry: JobEntry, outcome: JobOutcome | None, now_s: float, surprise: float = 0.0
    ) -> None:
        """Add a job that has ended."""
        tally = self._open.get(entry.round)
        if tally is None:
            return
        latency_s = now_s - entry.came_s
        if entry.ending != "answered":
            tally.unanswered += 1
            tally.worth_sum += self._preference.of(0.0, max(latency_s, self._preference.limit_s))
            return
        tally.answered += 1
        tally.latency_sum_s += latency_s
        if outcome is None:
            return
        tally.surprise += surprise
        tally.by_node[outcome.node] = tally.by_node.get(outcome.node, 0) + 1
        totals = self.totals.setdefault((outcome.node, outcome.kind), JobTotals())
        totals.answered += 1
        totals.latency_sum_s += latency_s
        if outcome.grade is not None:
            tally.worth_sum += self._preference.of(outcome.grade, latency_s)
            for sums in (tally, totals):
                sums.grade_sum += outcome.grade
                sums.graded += 1

    async def close(self, open_rounds: set[int]) -> None:
        """Tell the rounds of which no job is open any more."""
        for number in [each for each in self._open if each not in open_rounds]:
            tally = self._open.pop(number, None)
            if tally is None:  # told by somebody else while another was told
                continue
            judged = tally.graded + tally.unanswered
            told = {
                "round": number,
                "at": time.time(),
                "answered": tally.answered,
                "unanswered": tally.unanswered,
                "grade": tally.grade_sum / tally.graded if tally.graded else None,
                "latency_s": tally.latency_sum_s / tally.answered if tally.answered else None,
                "worth": tally.worth_sum / judged if judged else None,
                "surprise": tally.surprise / tally.answered if tally.answered else None,
                "by_node": tally.by_node,
                "decision": msgspec.to_builtins(self._decisions.last),
            }
            self.lately.append(told)
            await self._tell("round", self._topics.rounds, told, retain=False)

    def columns(self) -> dict[str, Any]:
        """Return the last rounds as columns, as charts want them."""
        told = list(self.lately)
        nodes = sorted({node for each in told for node in each["by_node"]})
        charts = {
            chart: {chart: [each[chart] for each in told]}
            for chart in ("grade", "latency_s", "worth", "surprise")
        }
        charts["by_node"] = {n: [each["by_node"].get(n, 0) for each in told] for n in nodes}
        return {"at": [each["at"] for each in told], "charts": charts}

    async def placed(self, number: int, plan: FleetPlan, beliefs: Beliefs) -> None:
        """Tell a plan: every node's model, why it changes, and the beliefs that it rests on."""
        told = {
            "round": number,
            "models": plan.models,
            "worth": plan.worth,
            "changes": [change._asdict() for change in plan.changes],
            "beliefs": beliefs.told(),
        }
        self.plan = told
        await self._tell("plan", self._topics.plan, told, retain=True)

    async def _tell(self, kind: str, topic: str, told: dict[str, Any], *, retain: bool) -> None:
        self._events.add(kind, "", told, time.time())
        with contextlib.suppress(BusError):  # whoever looks at the page has it all the same
            await self._bus.publish(topic, msgspec.json.encode(told), retain=retain)
