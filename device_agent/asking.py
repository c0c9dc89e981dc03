"""How other programs ask a device over MQTT: plain text or JSON in, JSON out.

A message on the device's ``ask`` topic is the prompt's text, or a JSON object with ``text`` and
optionally ``id`` (echoed), ``task`` and ``timeout_s``. Every message gets one JSON object on the
``answers`` topic, with ``label`` or, when there is no answer, ``error`` and ``reason``. More
questions at once than the device's ``in_flight`` are answered with the error ``busy``.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID, uuid4, uuid5

import msgspec

from shared.errors import BusError, Busy, InvalidPrompt, PromptError
from shared.log import get_logger
from shared.messages import Failure, Result, Task

if TYPE_CHECKING:
    from device_agent.app import Device
    from shared.bus import Message

_log = get_logger()
_NAMESPACE = UUID("5f0c6a52-6c40-4d9e-9a3e-0d2f5a4d1b7e")
_ID_BYTES = 128


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question as it came in; ``id`` is the asker's own and only echoed."""

    text: str
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=_ID_BYTES)] | None = None
    task: str = "classify"
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def prompt_id(self, device: str) -> UUID:
        """Return the prompt's id: the same for the same question, so that repeats are known.

        The text is part of it, since askers count from one again after a restart.
        """
        if self.id is None:
            return uuid4()
        question = json.dumps([device, self.id, self.task, self.text])
        return uuid5(_NAMESPACE, question)


def read_ask(payload: bytes) -> Ask:
    """Read plain text or a JSON object. Raises ``InvalidPrompt`` that names the fault."""
    if payload.lstrip()[:1] == b"{":
        try:
            return msgspec.json.decode(payload, type=Ask)
        except msgspec.ValidationError as error:
            raise InvalidPrompt(f"the question does not fit: {error}") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidPrompt(f"the question begins like JSON but is none: {error}") from error
        except UnicodeDecodeError as error:
            raise InvalidPrompt(f"the question is not UTF-8: {error.reason}") from error
    try:
        return Ask(payload.decode())
    except UnicodeDecodeError as error:
        raise InvalidPrompt(f"the question is not UTF-8: {error.reason}") from error


def write_answer(result: Result, *, echo: str | None, elapsed_s: float) -> dict[str, Any]:
    """Return what an asker gets to see of a result."""
    answer: dict[str, Any] = {"id": echo or str(result.id)}
    if isinstance(result.outcome, Failure):
        answer |= {"error": result.outcome.code, "reason": result.outcome.reason}
    else:
        answer |= {
            "label": result.outcome.label,
            "confidence": round(result.hops[-1].confidence, 6),
            "tier": result.tier,
            "agent": result.hops[-1].agent,
        }
    if result.degraded:
        answer["degraded"] = result.degraded
    answer["elapsed_ms"] = round(elapsed_s * 1000, 3)
    answer["hops"] = [
        {
            "tier": hop.tier,
            "agent": hop.agent,
            "confidence": round(hop.confidence, 6),
            "threshold": round(hop.threshold, 6),
            "elapsed_ms": hop.elapsed_us / 1000,
        }
        for hop in result.hops
    ]
    return answer


class AskTopic:
    """Answers what comes on the device's ``ask`` topic."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._bus = device.parts.bus
        self._answers = device.parts.topics.answers(device.settings.agent)
        self._in_hand: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to take questions."""
        topic = self._device.parts.topics.ask(self._device.settings.agent)
        await self._bus.subscribe(topic, self._take)

    def _take(self, message: Message) -> None:
        """Acknowledge and begin: what waits to be acknowledged would hold up the results above."""
        self._bus.acknowledge(message)
        task = asyncio.ensure_future(self._serve(message))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _serve(self, message: Message) -> None:
        """Answer one question."""
        try:
            answer = await self._answer(message.payload)
            await self._bus.publish(self._answers, msgspec.json.encode(answer))
        except BusError as error:
            _log.warning("answer not sent", topic=self._answers, reason=str(error))

    async def _answer(self, payload: bytes) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            ask = read_ask(payload)
            self._check_room()
        except PromptError as error:
            self._device.parts.metrics.refused.labels(error.code).inc()
            refused = Result(uuid4(), Failure(error.code, str(error)))
            return write_answer(refused, echo=_echo(payload), elapsed_s=0.0)
        prompt_id = ask.prompt_id(self._device.settings.agent)
        result = await self._device.ask(
            ask.text, task=cast("Task", ask.task), timeout_s=ask.timeout_s, prompt_id=prompt_id
        )
        return write_answer(result, echo=ask.id, elapsed_s=loop.time() - started_s)

    def _check_room(self) -> None:
        limit = self._device.settings.in_flight
        if len(self._in_hand) > limit:
            raise Busy(f"{limit} questions are in hand already")


def _echo(payload: bytes) -> str | None:
    """Return the id of a question that was refused, if it can be read at all."""
    try:
        echo = msgspec.json.decode(payload)["id"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None
    return echo if isinstance(echo, str) and len(echo) <= _ID_BYTES else None
