"""A program that asks devices over MQTT, as any other on the network would."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from shared.bus.mqtt.bus import MqttBus
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from shared.bus import Message
    from shared.bus.mqtt.settings import MqttSettings

Answer = dict[str, Any]
_answers = msgspec.json.Decoder(Answer)
WAY_S = 2.0
"""For the way there and back, beyond the time that the device has."""
_REMEMBERED = 100_000


class DeviceClient:
    """Asks devices, and tells by its id whose answer is whose.

    What comes once more for one of its latest questions is counted in ``duplicates``, and so is
    what comes too late; what comes for others is let pass.
    """

    def __init__(self, bus: MqttBus, topics: Topics) -> None:
        self.duplicates = 0
        self._bus = bus
        self._topics = topics
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._done: OrderedDict[str, None] = OrderedDict()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: MqttSettings, devices: Iterable[str], *, timeout_s: float = 5.0
    ) -> AsyncIterator[DeviceClient]:
        """Connect, and listen to these devices, while the context lasts. Raises ``BusError``."""
        client_id = settings.username or f"recserve-ask-{os.getpid()}-{uuid4().hex[:8]}"
        bus = MqttBus(settings, client_id)
        await bus.start()
        try:
            await bus.wait_connected(timeout_s)
            client = cls(bus, Topics(settings.root))
            for device in devices:
                await bus.subscribe(client._topics.answers(device), client._hear)
            yield client
        finally:
            await bus.close()

    async def ask(
        self,
        device: str,
        text: str,
        *,
        timeout_s: float,
        task: str = "classify",
        options: Mapping[str, Any] | None = None,
        priority: int = 0,
        question_id: str = "",
    ) -> Answer | None:
        """Return the answer of a device listened to; None when it said nothing in time.

        Raises ``BusError`` when the question does not get out.
        """
        question_id = question_id or uuid4().hex
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[question_id] = answered
        question: dict[str, Any] = {
            "id": question_id,
            "text": text,
            "task": task,
            "timeout_s": timeout_s,
            "priority": priority,
        }
        if options:
            question["options"] = options
        try:
            await self._bus.publish(self._topics.ask(device), msgspec.json.encode(question))
            return await asyncio.wait_for(answered, timeout_s + WAY_S)
        except asyncio.TimeoutError:
            return None
        finally:
            del self._waiting[question_id]
            self._done[question_id] = None
            if len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            answer = _answers.decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # anybody may publish here
        question_id = str(answer.get("id"))
        answered = self._waiting.get(question_id)
        if answered is not None and not answered.done():
            answered.set_result(answer)
        elif answered is not None or question_id in self._done:
            self.duplicates += 1
