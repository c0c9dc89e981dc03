"""One agent as one of a fleet: what it reports, and what it does with models from the centre."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from shared.nodes.machine import disk_of, this_machine
from shared.nodes.reporter import NodeReporter
from shared.nodes.telemetry import TelemetryReader
from shared.supervision import Supervised
from shared.wire.control import HeldBundle, NodeReport

if TYPE_CHECKING:
    from shared.bus import Bus
    from shared.nodes.settings import NodeSettings
    from shared.nodes.telemetry import ModelQueue
    from shared.serving.slot import ModelSlot
    from shared.telemetry.metrics import Metrics
    from shared.wire.topics import Topics


class FleetNode:
    """Runs beside an agent for as long as that runs."""

    def __init__(
        self,
        settings: NodeSettings,
        bus: Bus,
        topics: Topics,
        *,
        agent: str,
        tier: str,
        boot: str,
        state: str,
        slot: ModelSlot,
        queue: ModelQueue,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._tier = tier
        self._boot = boot
        self._folder = Path(settings.store or state or ".")
        self._slot = slot
        self.reporter = NodeReporter(
            bus,
            topics,
            agent,
            report=self.report,
            telemetry=TelemetryReader(metrics, queue).read,
        )
        self._running: list[Supervised] = []

    def start(self) -> None:
        """Begin to report, unless the settings say not to."""
        if self._settings.report:
            self._running.append(Supervised("fleet report", self.reporter.run))

    async def stop(self) -> None:
        """End all of it."""
        await asyncio.gather(*(task.stop() for task in self._running))

    def report(self) -> NodeReport:
        """Return what this agent is now."""
        machine = this_machine()
        total, free = disk_of(self._folder)
        return NodeReport(
            tier=self._tier,
            release=version("recserve"),
            boot=self._boot,
            machine=machine.board,
            system=machine.system,
            processor=machine.processor,
            cores=machine.cores,
            memory_bytes=machine.memory_bytes,
            disk_bytes=total,
            disk_free_bytes=free >> 26 << 26,
            accelerators=machine.accelerators,
            engines=machine.engines,
            bundles=self._bundles(),
        )

    def _bundles(self) -> tuple[HeldBundle, ...]:
        model = self._slot.model
        return (HeldBundle(name=model.name, digest=model.digest, in_use=True),)
