"""Looks at agents once a second while a run goes on: at their metrics, and at their heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
from http.client import HTTPException
from typing import IO, TYPE_CHECKING, NamedTuple
from uuid import uuid4

import msgspec

from experiments.replay.samples import FILE, Sample, make_sample
from experiments.testbed.scrape import scrape
from shared.bus.mqtt.bus import MqttBus
from shared.json_lines import appending
from shared.membership.watcher import StatusWatcher
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from experiments.replay.pacing import Clock
    from shared.bus.mqtt.settings import MqttSettings
    from shared.membership.watcher import HeardStatus
    from shared.telemetry.metrics import Metrics

_EVERY_S = 1.0
_PAGE_S = 2.0


class ScrapeTarget(NamedTuple):
    """An agent to look at, and where: a ``/metrics`` page, or counters in this process."""

    agent: str
    tier: str
    url: str = ""
    metrics: Metrics | None = None


async def look_at(seat: ScrapeTarget, at_s: float, wait_ms: float | None = None) -> Sample:
    """Read what an agent has counted; raises what the network or half a page raises."""
    if seat.metrics is not None:
        families = seat.metrics.registry.collect()
    else:
        families = await asyncio.to_thread(scrape, seat.url)
    return make_sample(at_s, seat.agent, seat.tier, families, wait_ms)


class Sampler:
    """Writes one line per agent and second."""

    def __init__(
        self, seats: Sequence[ScrapeTarget], mqtt: MqttSettings, clock: Clock, file: IO[bytes]
    ) -> None:
        self._seats = {seat.agent: seat for seat in seats}
        self._topics = Topics(mqtt.root)
        # A broker that knows us by a user name has one connection for it: the target's.
        self._bus = None if mqtt.username else MqttBus(mqtt, f"recserve-replay-{uuid4().hex[:8]}")
        self._clock = clock
        self._file = file
        self._wait_ms: dict[str, float] = {}
        self._tiers: dict[str, str] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        seats: Sequence[ScrapeTarget],
        mqtt: MqttSettings,
        clock: Clock,
        folder: Path,
        *,
        heartbeats_of: Sequence[str],
    ) -> AsyncIterator[None]:
        """Sample for as long as the context lasts, and once more at its end.

        ``heartbeats_of`` names the tiers whose heartbeats are of interest.
        """
        with appending(folder / FILE) as file:
            sampler = cls(seats, mqtt, clock, file)
            await sampler._listen(heartbeats_of)
            work = asyncio.create_task(sampler._run())
            try:
                yield
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                await sampler._look()
                if sampler._bus is not None:
                    await sampler._bus.close()

    async def _listen(self, tiers: Sequence[str]) -> None:
        if self._bus is None:
            return
        statuses = StatusWatcher(self._bus, self._topics, self._hear)
        for tier in tiers:
            await statuses.watch(tier)
        await self._bus.start()

    async def _run(self) -> None:
        due_s = self._clock.now_s()
        while True:
            await self._look()
            due_s = max(due_s + _EVERY_S, self._clock.now_s())
            await self._clock.sleep_until(due_s)

    async def _look(self) -> None:
        at_s = round(self._clock.now_s(), 3)
        looks = [self._look_at(seat, at_s) for seat in self._seats.values()]
        samples = [sample for sample in await asyncio.gather(*looks) if sample is not None]
        for agent, wait_ms in self._wait_ms.items():
            if agent not in self._seats:
                samples.append(Sample(at_s, agent, self._tiers[agent], wait_ms=wait_ms))
        self._file.writelines(msgspec.json.encode(sample) + b"\n" for sample in samples)

    async def _look_at(self, seat: ScrapeTarget, at_s: float) -> Sample | None:
        # An agent that died says no more, or half a page; its prompts show it.
        with contextlib.suppress(OSError, HTTPException, ValueError):
            return await look_at(seat, at_s, self._wait_ms.get(seat.agent))
        return None

    def _hear(self, heard: HeardStatus) -> None:
        (tier, agent), status, _ = heard
        if status is not None and status.state == "online":
            self._wait_ms[agent] = status.load.wait_ms
            self._tiers[agent] = tier
