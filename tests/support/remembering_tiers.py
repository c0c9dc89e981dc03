"""A cascade whose edge remembers, and a question to ask it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_agent.app import remembering
from edge_agent.memory.settings import MemorySettings
from tests.support.wires import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from device_agent import Device
    from edge_agent.memory.memory import Memory
    from shared.tasks import Answer
    from tests.support.cascades import Cascade
    from tests.support.fakes import LookupModel

QUESTION = "Is the film Glass River from 1987 good?"


class Tiers:
    """A cascade whose edge remembers."""

    def __init__(self, tiers: Cascade, settings: MemorySettings) -> None:
        self.tiers = tiers
        self._settings = settings

    async def start(self, state: Path | None = None, **changes: Any) -> None:
        running = partial(remembering, memory=self._settings)
        self.cloud: LookupModel = await self.tiers.cloud()
        self.edge: LookupModel = await self.tiers.edge(
            running=running, state=str(state or ""), **changes
        )
        self.device: Device = await self.tiers.device()
        above = self.tiers.parts["edge-1"].station.above.choice
        await eventually(
            lambda: bool(above.models("classify", time.monotonic())), "the edge sees the cloud"
        )

    @property
    def memory(self) -> Memory:
        memory: Memory = self.tiers.parts["edge-1"].station.solver._wing.memory  # type: ignore[attr-defined]
        return memory

    async def ask(self, text: str) -> tuple[Answer | None, str]:
        """Ask the device, and wait until the edge has learned what it may."""
        heard, gone_up = sum(self.memory.counts.values()), len(self.cloud.seen)
        result = await self.device.ask(text)
        if len(self.cloud.seen) > gone_up:
            await eventually(lambda: sum(self.memory.counts.values()) > heard, "a lesson")
        return result.outcome, result.tier  # type: ignore[return-value] # never a failure here


def settings(embedder: str, **changes: object) -> MemorySettings:
    chosen = {"rule": "worth", "check_share": 0.0, "patience_s": 10.0} | changes
    return MemorySettings(embedder=embedder, **chosen)  # type: ignore[arg-type] # any setting
