"""Sends what is due to a target and keeps a record of what became of it.

When a prompt is due is the business of ``experiments.replay.pacing``, how it gets to a device
that of the target.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from experiments.replay.pacing import closed_loop, open_loop
from experiments.replay.recording import Times, make_record
from experiments.replay.records import LOST
from experiments.replay.schedule import prompt_id
from experiments.replay.target import ReplayRequest, Response
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.replay.pacing import Clock
    from experiments.replay.records import Record, RecordWriter
    from experiments.replay.schedule import ScheduledRequest
    from experiments.replay.target import Target
    from shared.wire.topics import Topics

_log = get_logger()


class LiveCounts:
    """Running counts, for whoever watches."""

    def __init__(self) -> None:
        self.sent = 0
        self.done = 0
        self.errors = 0
        self.degraded = 0
        self.tiers: Counter[str] = Counter()
        self.lateness_s: list[float] = []
        """How late each prompt went out since somebody last emptied this."""

    def count(self, record: Record) -> None:
        """Take in a record."""
        self.done += 1
        self.errors += bool(record.error)
        self.degraded += bool(record.degraded)
        if record.tier and not record.error:
            self.tiers[record.tier] += 1


class LoadGenerator:
    """Plays prompts to a target; every one that gets its reply ends in one record."""

    def __init__(
        self,
        target: Target,
        writer: RecordWriter,
        clock: Clock,
        topics: Topics,
        *,
        run: str,
        timeout_s: float,
        keep_text: bool = False,
    ) -> None:
        """Ids are made from ``run``, the run's own; ``timeout_s`` is for prompts without one."""
        self.tally = LiveCounts()
        self._target = target
        self._writer = writer
        self._clock = clock
        self._topics = topics
        self._run = run
        self._timeout_s = timeout_s
        self._keep_text = keep_text
        self._under_way: set[asyncio.Task[None]] = set()

    async def play_open(self, plays: Sequence[ScheduledRequest]) -> None:
        """Send every prompt at its time; returns when the last one is out."""
        async for index, at_s in open_loop([play.at_s for play in plays], self._clock):
            self._begin(plays[index], at_s)

    async def play_closed(self, plays: Sequence[ScheduledRequest], in_flight: int) -> None:
        """Keep ``in_flight`` prompts under way; returns when the last one is out."""
        room = asyncio.Semaphore(in_flight)
        async for index, at_s in closed_loop(len(plays), room, self._clock):
            self._begin(plays[index], at_s, room.release)

    async def finish(self, timeout_s: float) -> int:
        """Wait for what is under way; return how many were given up on, without a record."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout_s)
        given_up = list(self._under_way)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        self._writer.flush()
        return len(given_up)

    def _begin(
        self, play: ScheduledRequest, at_s: float, after: Callable[[], None] | None = None
    ) -> None:
        task = asyncio.create_task(self._one(play, at_s))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        if after is not None:
            task.add_done_callback(lambda _: after())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a prompt of the replay broke", exc_info=error)

    async def _one(self, play: ScheduledRequest, at_s: float) -> None:
        """Ask, wait, record."""
        timeout_s = play.timeout_s or self._timeout_s
        question = ReplayRequest(
            prompt_id(self._run, play.number),
            play.device,
            play.task,
            play.text,
            timeout_s,
            play.priority,
            play.options,
        )
        sent_s = self._clock.now_s()
        self.tally.sent += 1
        self.tally.lateness_s.append(sent_s - at_s)
        reply = await self._ask(question)
        record = make_record(
            play, question, reply, Times(at_s, sent_s, self._clock.now_s()), self._topics
        )
        if self._keep_text:
            record = msgspec.structs.replace(record, text=play.text)
        self._writer.write(record)
        self.tally.count(record)

    async def _ask(self, question: ReplayRequest) -> Response:
        """Return the reply; one that never comes is lost."""
        grace_s = 5.0
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self._target.ask(question), question.timeout_s + grace_s)
        return Response(
            error=LOST, reason=f"nothing came back in {question.timeout_s + grace_s:g} s"
        )
