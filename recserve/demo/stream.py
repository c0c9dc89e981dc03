"""Streams prompts through running devices and keeps the answer of each."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from experiments.testbed.client import Answer, DeviceClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.datasets.bundled import LabelledPrompt
    from shared.bus.mqtt.settings import MqttSettings

_GRACE_S = 0.5


class DemoAnswers(NamedTuple):
    """What came back, in the order of the prompts; None where nothing did."""

    answers: list[Answer | None]
    duplicates: int
    elapsed_s: float


async def stream(
    prompts: Sequence[LabelledPrompt],
    devices: Sequence[str],
    mqtt: MqttSettings,
    *,
    in_flight: int,
    timeout_s: float,
    progress: Callable[[Answer], None],
) -> DemoAnswers:
    """Ask each device its share of the prompts, ``in_flight`` per device at a time.

    Ends when every prompt is answered or out of time; then listens a moment longer for answers
    that came twice. Raises ``BusError`` when a question does not get out.
    """
    rooms = {device: asyncio.Semaphore(in_flight) for device in devices}

    async def ask(device: str, text: str) -> Answer | None:
        async with rooms[device]:
            answer = await client.ask(device, text, timeout_s=timeout_s)
        if answer is not None:
            progress(answer)
        return answer

    async with DeviceClient.open(mqtt, devices) as client:
        started_s = time.monotonic()
        shares = (devices[number % len(devices)] for number in range(len(prompts)))
        answers = await asyncio.gather(
            *(ask(device, prompt.text) for device, prompt in zip(shares, prompts, strict=True))
        )
        elapsed_s = time.monotonic() - started_s
        await asyncio.sleep(_GRACE_S)
        return DemoAnswers(answers, client.duplicates, elapsed_s)
