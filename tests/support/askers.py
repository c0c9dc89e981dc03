"""A device that is asked over its topic, and another program that asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from device_agent.api.mqtt import AskTopic
from shared.agent.settings import TierSettings
from tests.support.wires import Inbox, settled

if TYPE_CHECKING:
    from device_agent import Device
    from tests.support.cascades import Cascade
    from tests.support.wires import Wire


class Asker:
    """Another program on the same broker."""

    def __init__(self, wire: Wire) -> None:
        self.bus = wire.bus("asker")
        self.inbox = Inbox(self.bus)
        self._base = f"{wire.root}/v1"

    async def start(self) -> Asker:
        await self.bus.subscribe(f"{self._base}/answers/device-1", self.inbox.take)
        await settled(self.bus)
        return self

    async def send(self, question: bytes | dict[str, Any]) -> None:
        payload = question if isinstance(question, bytes) else msgspec.json.encode(question)
        await self.bus.publish(f"{self._base}/ask/device-1", payload)

    async def ask(self, question: bytes | dict[str, Any]) -> dict[str, Any]:
        await self.send(question)
        answer: dict[str, Any] = json.loads((await self.inbox.next(10)).payload)
        return answer


async def asked_device(tiers: Cascade) -> Device:
    """A device that is asked over its topic, two at a time, and has nothing above it."""
    tier = TierSettings(name="device")
    device = await tiers.device(tier=tier, in_flight=2, knows_above=False)
    await AskTopic(device).start()
    await device.parts.bus.wait_connected(10)
    return device
