"""Streams prompts through running devices and keeps the answer of each."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from experiments.testbed.client import Answer, DeviceClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.bus.mqtt.settings import MqttSettings
    from shared.tasks import Task

_GRACE_S = 0.5


class DemoAnswers(NamedTuple):
    """What came back, in the order of the prompts; None where nothing did."""

    answers: list[Answer | None]
    duplicates: int
    elapsed_s: float


async def stream(
    texts: Sequence[str],
    devices: Sequence[str],
    mqtt: MqttSettings,
    *,
    in_flight: int,
    timeout_s: float,
    progress: Callable[[Answer], None],
    task: Task = "classify",
) -> DemoAnswers:
    """Ask each device its share of the texts, ``in_flight`` per device at a time.

    Ends when every prompt is answered or out of time; then listens a moment longer for answers
    that came twice. Raises ``BusError`` when a question does not get out.
    """
    rooms = {device: asyncio.Semaphore(in_flight) for device in devices}

    async def ask(device: str, text: str) -> Answer | None:
        async with rooms[device]:
            answer = await client.ask(device, text, timeout_s=timeout_s, task=task)
        if answer is not None:
            progress(answer)
        return answer

    async with DeviceClient.open(mqtt, devices) as client:
        started_s = time.monotonic()
        shares = (devices[number % len(devices)] for number in range(len(texts)))
        answers = await asyncio.gather(
            *(ask(device, text) for device, text in zip(shares, texts, strict=True))
        )
        elapsed_s = time.monotonic() - started_s
        await asyncio.sleep(_GRACE_S)
        return DemoAnswers(answers, client.duplicates, elapsed_s)
