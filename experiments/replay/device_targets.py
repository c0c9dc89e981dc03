"""Devices as the target of a replay: virtual ones in this process, or running ones over MQTT."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from experiments.replay.records import LOST
from experiments.replay.target import Response
from experiments.testbed.client import Answer, DeviceClient
from shared.errors import BusError
from shared.messages import Hop
from shared.tasks import Task, from_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from experiments.replay.target import ReplayRequest
    from experiments.testbed.fleet import Fleet
    from shared.bus.mqtt.settings import MqttSettings

_WAY_S = 2.0
"""For the way there and back, beyond the time that the device has."""


class VirtualDevices:
    """Devices of a fleet in this process, asked as a program that holds one would."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._devices = fleet.devices

    @property
    def devices(self) -> Sequence[str]:
        """Names of the devices."""
        return list(self._devices)

    async def ask(self, question: ReplayRequest) -> Response:
        """Ask one device."""
        result = await self._devices[question.device].ask(
            question.text,
            task=question.task,
            timeout_s=question.timeout_s,
            priority=question.priority,
            prompt_id=question.id,
        )
        return Response.of(result)


class AskedDevices:
    """Devices behind a broker. What comes twice for one question is counted in ``twice``."""

    def __init__(self, asker: DeviceClient, devices: Sequence[str]) -> None:
        self.twice = 0
        self._asker = asker
        self._devices = tuple(devices)
        self._waiting: dict[str, asyncio.Future[Answer]] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: MqttSettings, devices: Sequence[str]
    ) -> AsyncIterator[AskedDevices]:
        """Connect and listen to every device's answers. Raises ``BusError``."""
        async with DeviceClient.open(settings) as asker:
            target = cls(asker, devices)
            for device in devices:
                await asker.listen(device, target._hear)
            yield target

    @property
    def devices(self) -> Sequence[str]:
        """Names of the devices."""
        return self._devices

    async def ask(self, question: ReplayRequest) -> Response:
        """Publish a question and wait for its answer."""
        name = str(question.id)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answered
        asked = {
            "id": name,
            "text": question.text,
            "task": question.task,
            "timeout_s": question.timeout_s,
            "priority": question.priority,
        }
        try:
            await self._asker.send(question.device, asked)
            came = await asyncio.wait_for(answered, question.timeout_s + _WAY_S)
            return read_answer(came, question.task)
        except asyncio.TimeoutError:
            said = f"{question.device} said nothing in {question.timeout_s + _WAY_S:g} s"
            return Response(error=LOST, reason=said)
        except BusError as error:
            return Response(error=LOST, reason=f"the question did not get out: {error}")
        finally:
            del self._waiting[name]

    def _hear(self, answer: Answer) -> None:
        waiting = self._waiting.get(answer.get("id", ""))
        if waiting is None or waiting.done():
            self.twice += 1
        else:
            waiting.set_result(answer)


def read_answer(answer: Answer, task: Task) -> Response:
    """Return what an answer to such a task says, as devices publish it."""
    hops = tuple(
        Hop(
            hop["tier"],
            hop["agent"],
            hop["confidence"],
            hop["threshold"],
            round(hop["elapsed_ms"] * 1000),
        )
        for hop in answer.get("hops", ())
    )
    return Response(
        None if "error" in answer else from_json(task, answer),
        hops,
        answer.get("degraded", ""),
        answer.get("error", ""),
        answer.get("reason", ""),
    )
