"""A device with sources on a wire, and a program beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from device_agent import Device
from device_agent.sources import running_sources
from shared.agent.settings import TierSettings
from shared.telemetry.metrics import Metrics
from tests.support.cascades import EASY, SURE, UNSURE, cascade, device_settings
from tests.support.fakes import LookupModel
from tests.support.wires import Inbox, MemoryWire, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.cascades import Cascade

ALONE = TierSettings(name="device")


class Place:
    """A device with sources, and a program beside it."""

    def __init__(self, tiers: Cascade, device: Device, model: LookupModel) -> None:
        self.tiers, self.device, self.model = tiers, device, model

    def faults(self, source: str, fault: str) -> float:
        labels = {"source": source, "fault": fault}
        registry = self.device.parts.metrics.registry
        return registry.get_sample_value("recserve_source_faults_total", labels) or 0.0


@contextlib.asynccontextmanager
async def place(
    wire: MemoryWire, tier: TierSettings = ALONE, **changes: Any
) -> AsyncIterator[Place]:
    async with cascade(wire) as tiers:
        if tier is not ALONE:
            await tiers.edge()
        settings = device_settings(wire, tier=tier, **changes)
        model = LookupModel("device-1", {EASY: SURE}, otherwise=UNSURE)
        opened = Device.open(settings, model=model, connect=wire.connect, metrics=Metrics())
        async with opened as device, running_sources(device):
            await device.ask(EASY)
            await asyncio.sleep(0.05)
            yield Place(tiers, device, model)
            model.release()


async def publisher(wire: MemoryWire, answers: str) -> tuple[Any, Inbox]:
    bus = await settled(wire.bus("factory"))
    inbox = Inbox(bus)
    await bus.subscribe(answers, inbox.take)
    return bus, inbox


def answers(path: Path) -> list[str]:
    """The texts that a file of answers has answers to, in order."""
    if not path.exists():
        return []
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]
