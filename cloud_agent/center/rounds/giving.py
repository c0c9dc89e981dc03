"""Gives jobs that wait to nodes that are free for them, as prompts whose origin is the centre."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from cloud_agent.center.grading import kind_named
from cloud_agent.center.placement.dispatch import give_out
from shared.errors import BusError
from shared.messages import Prompt
from shared.telemetry.log import get_logger
from shared.wire.codec import encode_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud_agent.center.placement.allocators import Allocator
    from cloud_agent.center.placement.jobs import OpenNode
    from cloud_agent.center.rounds.decisions import DecisionLog
    from cloud_agent.center.rounds.fleet import FleetView
    from cloud_agent.center.rounds.grader import Grader
    from cloud_agent.center.rounds.ledger import JobEntry, JobLedger
    from shared.bus import Bus
    from shared.wire.topics import Topics

_log = get_logger()
_PATIENCE: Final = 2.0
"""Times what a job should take, for which a node may be silent on top of what it always may."""


class JobGiver:
    """The way of jobs out to the fleet."""

    def __init__(
        self,
        name: str,
        patience_s: float,
        bus: Bus,
        topics: Topics,
        ledger: JobLedger,
        fleet: FleetView,
        grader: Grader,
        allocator: Allocator,
        decisions: DecisionLog,
    ) -> None:
        """Give jobs out as the centre of this name."""
        self._name = name
        self._patience_s = patience_s
        self._bus = bus
        self._topics = topics
        self._ledger = ledger
        self._fleet = fleet
        self._grader = grader
        self._allocator = allocator
        self._decisions = decisions
        self._one_at_a_time = asyncio.Lock()
        self._warned: set[str] = set()

    async def give_out(self) -> None:
        """Give every waiting job to a node, as far as there is one."""
        async with self._one_at_a_time:
            self._warn_of_unmeasured()
            for task, entries in self._by_task():
                nodes = self._fleet.open_nodes(task, self._queued_s(), self._grader.rtt_s)
                for entry in entries:
                    # Those that it was with already come last.
                    left = [node for node in nodes if node.node not in entry.tried] or nodes
                    for job, node in give_out([entry.job], left, self._allocator):
                        self._decisions.note(job, left, node)
                        await self._send(task, entry, node)

    async def _send(self, task: Any, entry: JobEntry, node: OpenNode) -> None:
        if entry.ending is not None:
            return
        outlook = self._allocator.outlooks.outlook(node.node, node.model, entry.posted.kind)
        patience_s = self._patience_s + _PATIENCE * (node.backlog_s + outlook.service_s)
        now_s = time.monotonic()
        self._ledger.give(entry.job.id, node.node, now_s, patience_s)
        text = kind_named(entry.posted.kind).prompt(entry.posted.text)
        prompt = Prompt(UUID(entry.job.id), self._name, task, text, entry.job.deadline_s)
        topic = self._topics.prompt(node.node, task, self._name)
        expiry_s = max(entry.job.deadline_s - now_s, 0.0)
        try:
            await self._bus.publish(topic, encode_prompt(prompt, now_s), expiry_s=expiry_s)
        except BusError as error:
            _log.info("job not sent", id=entry.job.id, node=node.node, reason=str(error))
            self._ledger.take_back(entry.job.id, owing=True)

    def _by_task(self) -> Iterator[tuple[Any, list[JobEntry]]]:
        by_task: dict[Any, list[JobEntry]] = {}
        for entry in sorted(self._ledger.waiting(), key=lambda each: each.job.deadline_s):
            by_task.setdefault(kind_named(entry.posted.kind).task, []).append(entry)
        yield from by_task.items()

    def _queued_s(self) -> dict[str, float]:
        """Return how long what each node has from us should keep it."""
        queued: dict[str, float] = {}
        for entry in self._ledger.out():
            model = self._fleet.model_of(entry.node)
            if model is not None:
                outlook = self._allocator.outlooks.outlook(entry.node, model, entry.posted.kind)
                queued[entry.node] = queued.get(entry.node, 0.0) + outlook.service_s
        return queued

    def _warn_of_unmeasured(self) -> None:
        for node, model in self._fleet.unmeasured():
            if node not in self._warned:
                self._warned.add(node)
                _log.warning("node without jobs: model not measured", node=node, model=model)
