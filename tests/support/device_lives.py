"""A device that dies and starts again, and who asks it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from device_agent import Device
from device_agent.api.mqtt import AskTopic
from shared.agent.settings import LimitSettings, UpstreamSettings
from shared.telemetry.metrics import Metrics
from tests.support.cascades import EASY, SURE, UNSURE, device_settings
from tests.support.fakes import LookupModel
from tests.support.wires import Inbox, MemoryWire, settled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cascades import Cascade


PATIENT = UpstreamSettings(patience_s=20, retry_min_s=0.2, retry_max_s=0.5)


class Life:
    """One run of the device, ended as kill -9 would: nothing of it is closed or drained."""

    def __init__(
        self, tiers: Cascade, folder: Path, said: float | None = None, **changes: Any
    ) -> None:
        fields: dict[str, Any] = {
            "state": str(folder),
            "upstream": PATIENT,
            "limits": LimitSettings(timeout_s=30, drain_s=0.2),
        }
        self.settings = device_settings(tiers.wire, **(fields | changes))
        self.metrics = Metrics()
        self._said = said
        self._wire = tiers.wire
        self._stack = contextlib.AsyncExitStack()
        self.device: Device

    async def begin(self) -> Life:
        model = LookupModel("device-1", {EASY: SURE}, otherwise=UNSURE, said=self._said)
        opened = Device.open(
            self.settings, model=model, connect=self._wire.connect, metrics=self.metrics
        )
        self.device = await self._stack.enter_async_context(opened)
        await AskTopic(self.device).start()
        assert (await self.device.ask(EASY)).tier == "device"
        return self

    def kill(self) -> None:
        """Cut everything that this run could still do to the outside."""
        self._wire.kill(self.device.parts.bus)
        for task in self.device.delivery._work:
            task.cancel()
        watch = self.device.delivery._watch
        assert watch is not None
        watch._stopped = True
        watch.task.cancel()
        self.device.delivery._outbox._file = None

    async def end(self) -> None:
        with contextlib.suppress(Exception):
            await self._stack.aclose()

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


async def ask(wire: MemoryWire, question: dict[str, Any]) -> Inbox:
    asker = await settled(wire.bus("asker"))
    inbox = Inbox(asker)
    await asker.subscribe(f"{wire.root}/v1/answers/device-1", inbox.take)
    await asker.publish(f"{wire.root}/v1/ask/device-1", json.dumps(question).encode())
    return inbox
