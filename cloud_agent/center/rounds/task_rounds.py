"""Rounds of jobs on the real fleet, and a placement of models every so many of them.

Jobs go to agents as prompts whose origin is the centre, so all that is promised of prompts holds:
an agent answers a repeat from what it has stored. Results are graded here and teach the beliefs as
they come. What a dead, silent or busy agent has is given to another; the first answer counts.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from cloud_agent.center.catalogue.file import read_catalogue, to_catalogue
from cloud_agent.center.grading import kind_named
from cloud_agent.center.placement.allocators import AllocatorContext, LinUcb, make_allocator
from cloud_agent.center.placement.beliefs import Beliefs, Demand
from cloud_agent.center.placement.features import features_of
from cloud_agent.center.placement.jobs import FleetJob
from cloud_agent.center.placement.planner import Horizon, PlacementPlanner
from cloud_agent.center.rounds.decisions import DecisionLog
from cloud_agent.center.rounds.fleet import FleetView
from cloud_agent.center.rounds.giving import JobGiver
from cloud_agent.center.rounds.grader import Grader
from cloud_agent.center.rounds.job_file import read_jobs
from cloud_agent.center.rounds.ledger import JobLedger
from cloud_agent.center.rounds.reports import RoundReports
from shared.errors import MalformedMessage
from shared.messages import Failure, Result
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import Metrics
from shared.telemetry.rejections import RejectionLog
from shared.wire.codec import WORKING, decode_result

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from uuid import UUID

    from cloud_agent.center.events import EventLog
    from cloud_agent.center.placement.planner import FleetPlan
    from cloud_agent.center.registry.members import Registry
    from cloud_agent.center.rounds.ledger import PostedJob
    from cloud_agent.center.rounds.settings import RoundSettings
    from shared.bus import Bus, Message
    from shared.wire.codec import Notice
    from shared.wire.topics import Topics

    Assign = Callable[[Sequence[str], str, str], Awaitable[Any]]

_log = get_logger()
_TICK_S: Final = 0.05


class TaskRounds:
    """Gives out jobs, hears answers, learns, and places models."""

    def __init__(
        self,
        name: str,
        settings: RoundSettings,
        bus: Bus,
        topics: Topics,
        registry: Registry,
        events: EventLog,
        assign: Assign | None = None,
        shipped: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """Run as the centre of this name.

        ``assign`` has agents serve a bundle, for a reason, and ``shipped`` says which bundles they
        can be sent. Without them plans are only shown.
        Raises ``DataError`` for a file of jobs or a catalogue that cannot be used.
        """
        self._jobs = read_jobs(Path(settings.jobs))
        kinds = dict.fromkeys(job.kind for job in self._jobs)
        measured = read_catalogue(Path(settings.catalogue))
        node_class = settings.node_class or next(iter(measured.classes()), "")
        catalogue = to_catalogue(
            measured, node_class, {kind: kind_named(kind).tokens for kind in kinds}
        )
        self._answer_tokens = catalogue.tokens
        self.beliefs = Beliefs(catalogue, prior_weight=settings.prior_weight)
        self.ledger = JobLedger(attempts=settings.attempts)
        self.fleet = FleetView(registry, catalogue)
        self.round = 0
        self.finished = asyncio.Event()
        """Set once the last round has ended, where there is a last one."""
        self._name = name
        self._settings = settings
        self._bus = bus
        self._topics = topics
        self._assign = assign
        self._shipped = shipped
        self._draw = random.Random(settings.seed)  # noqa: S311 - draws jobs, guards nothing
        self._demand = Demand(catalogue.kinds)
        context = AllocatorContext(catalogue, self.beliefs, settings.preference, self._draw)
        self._allocator = make_allocator(settings.allocator, context)
        self.decisions = DecisionLog(context, self._allocator)
        self.reports = RoundReports(bus, topics, events, settings.preference, self.decisions)
        self._planner = PlacementPlanner(settings.placement, catalogue, settings.preference)
        self._grader = Grader(self.fleet)
        self._giver = JobGiver(
            name, settings.patience_s, bus, topics,
            self.ledger, self.fleet, self._grader, self._allocator, self.decisions,
        )  # fmt: skip
        self._changed = asyncio.Event()
        self._rejections = RejectionLog(Metrics())

    async def start(self) -> None:
        """Begin to hear answers. Raises ``BusError``."""
        await self._bus.subscribe(self._topics.results(self._name), self._hear)

    async def run(self) -> None:
        """Give out rounds until this is cancelled; after the last one only wait.

        Raises what breaks either the rounds or what keeps their jobs going.
        """
        work = [asyncio.ensure_future(self._keep()), asyncio.ensure_future(self._all_rounds())]
        try:
            await asyncio.gather(*work)
        finally:
            for each in work:
                each.cancel()

    async def _all_rounds(self) -> None:
        while not self._settings.rounds or self.round < self._settings.rounds:
            await self._one_round()
        while self.ledger.counts.open:
            await self._next_change()
        await self._close_rounds()
        self.finished.set()

    async def _one_round(self) -> None:
        settings, begun_s = self._settings, time.monotonic()
        self.round += 1
        posted = [self._draw.choice(self._jobs) for _ in range(settings.batch)]
        self._demand.learn([each.kind for each in posted])
        self.reports.begin(self.round, begun_s)
        for each in posted:
            deadline_s = begun_s + settings.deadline_s
            job = FleetJob(uuid4().hex, each.kind, deadline_s, self._features(each))
            self.ledger.add(job, each, self.round, begun_s)
        await self._giver.give_out()
        while settings.mode == "barrier" and self.ledger.of_round(self.round):
            await self._next_change()
        await self._close_rounds()
        if self.round % settings.task_rounds_per_placement == 0:
            await self._place()
        if settings.mode == "streaming":
            await asyncio.sleep(max(begun_s + settings.every_s - time.monotonic(), 0.0))

    def _features(self, posted: PostedJob) -> tuple[float, ...]:
        """Return what a job's text looks like, for an allocator that looks at texts."""
        allocator = self._settings.allocator
        if isinstance(allocator, LinUcb) and allocator.features:
            return features_of(posted.text, self._answer_tokens[posted.kind])
        return ()

    async def _keep(self) -> None:
        """Take back what the dead and the silent have, and end what is too late."""
        while True:
            await asyncio.sleep(_TICK_S)
            now_s = time.monotonic()
            for entry in self.ledger.take_back_from(self.fleet.is_gone):
                _log.info("job given back", id=entry.job.id, node=entry.tried[-1], why="gone")
            for entry in [each for each in self.ledger.out() if now_s > each.silent_s]:
                silence = self._grader.silence(entry, now_s)
                if silence is not None:
                    self.beliefs.learn(silence)
                self.ledger.take_back(entry.job.id, owing=True)
            for entry in self.ledger.overdue(now_s):
                self.reports.ended(entry, None, now_s)
                self._signal()
            if self.ledger.waiting():
                await self._giver.give_out()
            await self._close_rounds()

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            heard = decode_result(message.payload)
        except MalformedMessage as error:
            self._rejections.record(message.topic, error)
            return
        if isinstance(heard, Result):
            self._take(heard)
        else:
            self._heed(*heard)
        self._signal()

    def _heed(self, prompt_id: UUID, notice: Notice) -> None:
        """Wait on for an agent that is at work, and try another where one is busy."""
        entry = self.ledger.find(prompt_id.hex)
        if entry is None or notice.agent not in {"", entry.node}:
            return
        if notice.code == WORKING:
            entry.silent_s = time.monotonic() + self._settings.patience_s
        else:
            self.ledger.take_back(prompt_id.hex)

    def _take(self, result: Result) -> None:
        """Take in a result: the first answer to a job counts and teaches; too late it teaches."""
        now_s, job = time.monotonic(), result.id.hex
        if isinstance(result.outcome, Failure):
            ended = self.ledger.fail(job, result.hops[-1].agent if result.hops else "")
            if ended is not None:
                self.reports.ended(ended, None, now_s)
            return
        entry = self.ledger.end(job, "answered") or self.ledger.hear_late(job)
        if entry is None:
            return
        outcome = self._grader.outcome(entry, result, now_s, self._settings.deadline_s)
        surprise = 0.0
        if outcome is not None:
            surprise = self.beliefs.learn(outcome).total
            self._allocator.learn(outcome)
        if not entry.late:
            self.reports.ended(entry, outcome, now_s, surprise)

    async def _place(self) -> None:
        """Make the plan for the rounds to come, show it, and have it carried out."""
        shipped = None if self._shipped is None else self._shipped()
        holdings = self.fleet.holdings(self._grader.rtt_s, shipped)
        if not holdings:
            return
        horizon = Horizon(self._settings.task_rounds_per_placement, self._settings.round_s)
        plan: FleetPlan = await asyncio.to_thread(
            self._planner.plan, holdings, self._allocator.outlooks, self._demand, horizon
        )
        await self.reports.placed(self.round, plan, self.beliefs)
        if self._assign is None or not self._settings.place:
            return
        for change in plan.changes:
            reason = f"placement after round {self.round}: worth {change.gain:+.2f}"
            try:
                await self._assign([change.node], change.after, reason)
            except Exception as error:  # noqa: BLE001 - whoever ships says why; jobs go on
                _log.warning("plan not carried out", node=change.node, reason=str(error))

    async def _close_rounds(self) -> None:
        open_rounds = {entry.round for entry in (*self.ledger.waiting(), *self.ledger.out())}
        await self.reports.close(open_rounds)

    def _signal(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _next_change(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), _TICK_S)
        except asyncio.TimeoutError:
            return
