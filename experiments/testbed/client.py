"""A program that asks devices over MQTT, as any other on the network would."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from shared.bus.mqtt.bus import MqttBus
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shared.bus import Message
    from shared.bus.mqtt.settings import MqttSettings

Answer = dict[str, Any]


class DeviceClient:
    """Publishes on ``ask`` topics and listens on ``answers`` topics."""

    def __init__(self, bus: MqttBus, topics: Topics) -> None:
        self._bus = bus
        self._topics = topics

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: MqttSettings, timeout_s: float = 5.0
    ) -> AsyncIterator[DeviceClient]:
        """Connect for as long as the context lasts. Raises ``BusError``."""
        client_id = settings.username or f"recserve-ask-{os.getpid()}-{uuid4().hex[:8]}"
        bus = MqttBus(settings, client_id)
        await bus.start()
        try:
            await bus.wait_connected(timeout_s)
            yield cls(bus, Topics(settings.root))
        finally:
            await bus.close()

    async def listen(self, device: str, hear: Callable[[Answer], None]) -> None:
        """Hand every answer of a device to ``hear``."""

        def take(message: Message) -> None:
            self._bus.acknowledge(message)
            hear(msgspec.json.decode(message.payload))

        await self._bus.subscribe(self._topics.answers(device), take)

    async def send(self, device: str, question: dict[str, Any]) -> None:
        """Put a question to a device."""
        await self._bus.publish(self._topics.ask(device), msgspec.json.encode(question))

    async def ask(self, device: str, text: str, *, task: str, timeout_s: float) -> Answer | None:
        """Return the device's answer to one question; None when it said nothing in time."""
        question_id = uuid4().hex
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def hear(answer: Answer) -> None:
            if answer.get("id") == question_id and not answered.done():
                answered.set_result(answer)

        await self.listen(device, hear)
        question = {"id": question_id, "text": text, "task": task, "timeout_s": timeout_s}
        await self.send(device, question)
        # The device itself answers within timeout_s; the rest is for the way there and back.
        done, _ = await asyncio.wait({answered}, timeout=timeout_s + 2.0)
        return answered.result() if done else None
