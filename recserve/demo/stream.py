"""Streams prompts through running devices and keeps every answer that comes back."""

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


class DemoAnswer(NamedTuple):
    """What came back: per prompt, in the order of the prompts, every answer it got."""

    answers: list[list[Answer]]
    elapsed_s: float


async def stream(
    prompts: Sequence[LabelledPrompt],
    devices: Sequence[str],
    mqtt: MqttSettings,
    *,
    in_flight: int,
    timeout_s: float,
    progress: Callable[[Answer], None],
) -> DemoAnswer:
    """Ask each device its share of the prompts, ``in_flight`` per device at a time.

    Ends when every prompt is answered, or when none was for ``timeout_s``; then listens a moment
    longer for answers that came twice.
    """
    answers: list[list[Answer]] = [[] for _ in prompts]
    waiting: dict[int, asyncio.Event] = {}

    def hear(answer: Answer) -> None:
        number = int(answer["id"])
        answers[number].append(answer)
        if number in waiting:
            waiting[number].set()
        if len(answers[number]) == 1:
            progress(answer)

    async def one(number: int, device: str, room: asyncio.Semaphore) -> None:
        async with room:
            waiting[number] = asyncio.Event()
            question = {"id": str(number), "text": prompts[number].text, "timeout_s": timeout_s}
            await asker.send(device, question)
            await asyncio.wait_for(waiting[number].wait(), timeout_s + 2.0)

    async with DeviceClient.open(mqtt) as asker:
        rooms = {device: asyncio.Semaphore(in_flight) for device in devices}
        for device in devices:
            await asker.listen(device, hear)
        started_s = time.monotonic()
        shares = (devices[number % len(devices)] for number in range(len(prompts)))
        await asyncio.gather(
            *(one(number, device, rooms[device]) for number, device in enumerate(shares)),
            return_exceptions=True,
        )
        elapsed_s = time.monotonic() - started_s
        await asyncio.sleep(_GRACE_S)
    return DemoAnswer(answers, elapsed_s)
