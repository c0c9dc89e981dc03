"""Devices as the target of a replay: virtual ones in this process, or running ones over MQTT."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from experiments.replay.records import LOST
from experiments.replay.target import Response
from experiments.testbed.client import WAY_S, Answer, DeviceClient
from shared.errors import BusError
from shared.messages import Hop, Provenance
from shared.tasks import Task, from_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from experiments.replay.target import ReplayRequest
    from experiments.testbed.fleet import Fleet
    from shared.bus.mqtt.settings import MqttSettings


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
            options=question.options,
            timeout_s=question.timeout_s,
            priority=question.priority,
            prompt_id=question.id,
        )
        return Response.of(result)


class AskedDevices:
    """Devices behind a broker."""

    def __init__(self, client: DeviceClient, devices: Sequence[str]) -> None:
        self._client = client
        self._devices = tuple(devices)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: MqttSettings, devices: Sequence[str]
    ) -> AsyncIterator[AskedDevices]:
        """Connect and listen to every device's answers. Raises ``BusError``."""
        async with DeviceClient.open(settings, devices) as client:
            yield cls(client, devices)

    @property
    def devices(self) -> Sequence[str]:
        """Names of the devices."""
        return self._devices

    @property
    def twice(self) -> int:
        """How many answers came once more for a question."""
        return self._client.duplicates

    async def ask(self, question: ReplayRequest) -> Response:
        """Publish a question and wait for its answer."""
        try:
            answer = await self._client.ask(
                question.device,
                question.text,
                task=question.task,
                options=question.options,
                timeout_s=question.timeout_s,
                priority=question.priority,
                question_id=str(question.id),
            )
        except BusError as error:
            return Response(error=LOST, reason=f"the question did not get out: {error}")
        if answer is None:
            said = f"{question.device} said nothing in {question.timeout_s + WAY_S:g} s"
            return Response(error=LOST, reason=said)
        return read_answer(answer, question.task)


class _Passed(msgspec.Struct, frozen=True):
    tier: str
    agent: str
    confidence: float
    threshold: float
    elapsed_ms: float
    confidence_kind: str = ""
    probability: float | None = None


class _Said(msgspec.Struct, frozen=True):
    hops: tuple[_Passed, ...] = ()
    degraded: str = ""
    error: str = ""
    reason: str = ""
    source: Provenance | None = None


def read_answer(answer: Answer, task: Task) -> Response:
    """Return what an answer to such a task says, as devices publish it.

    One that is none of the task is an error in the reply, as any other.
    """
    try:
        said = msgspec.convert(answer, _Said)
        own = None if said.error else from_json(task, answer)
    except (KeyError, msgspec.ValidationError) as error:
        return Response(error=LOST, reason=f"what came is no answer to a {task} prompt: {error}")
    hops = tuple(
        Hop(
            hop.tier,
            hop.agent,
            hop.confidence,
            hop.threshold,
            round(hop.elapsed_ms * 1000),
            hop.confidence_kind,
            hop.probability,
            said.source if hop is said.hops[-1] else None,
        )
        for hop in said.hops
    )
    return Response(own, hops, said.degraded, said.error, said.reason)
