"""How other programs ask a device over MQTT: plain text or JSON in, JSON out.

A message on the device's ``ask`` topic is the prompt's text, or a JSON object with ``text`` and
optionally ``id`` (echoed), ``task``, ``timeout_s``, ``receipt`` and ``revisions``. Every question
gets one JSON object on the ``answers`` topic, with ``label`` or, when there is no answer, ``error``
and ``reason``. With ``receipt`` an object with ``accepted`` comes first, once a question that takes
its time is safe in the outbox; with ``revisions`` a better answer that comes after a degraded one
follows, marked ``revision``. The same question asked again is answered again and not judged again.
More questions at once than the device's ``in_flight`` are answered with the error ``busy``.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID, uuid4, uuid5

import msgspec

from device_agent.publishing import publish_until_taken
from device_agent.rows import Asker
from shared.errors import Busy, InvalidPrompt, PromptError
from shared.log import get_logger
from shared.messages import Failure, Result, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_agent.app import Device
    from device_agent.in_hand import Asked
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
    priority: int = 0
    receipt: bool = False
    revisions: bool = False

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
        self._in_hand: set[UUID] = set()
        self._judging = 0

    async def start(self) -> None:
        """Answer what an earlier run had accepted, and begin to take questions."""
        for asked in self._device.escalations.in_hand:
            if asked.asker is not None:
                self._in_hand.add(asked.prompt.id)
                self._device.begin(self._see_out(asked, asked.asker))
        topic = self._device.parts.topics.ask(self._device.settings.agent)
        await self._bus.subscribe(topic, self._take)

    def _take(self, message: Message) -> None:
        """Acknowledge and begin: what waits to be acknowledged would hold up the results above.

        It promises nothing: without a session the broker forgets the message anyway when we die.
        What an asker can rely on is the receipt, or the answer.
        """
        self._bus.acknowledge(message)
        try:
            ask = read_ask(message.payload)
        except InvalidPrompt as error:
            self._refuse(error, _echo(message.payload))
            return
        self._device.begin(self._serve(ask, ask.prompt_id(self._device.settings.agent)))

    async def _serve(self, ask: Ask, prompt_id: UUID) -> None:
        """See one question through, unless it is a repeat of one that is in hand or answered."""
        started_s = time.monotonic()
        known = self._device.escalations.in_hand.recent(prompt_id)
        if prompt_id in self._in_hand:
            self._repeated()
            return
        if known is not None:
            self._repeated()
            self._say(write_answer(known, echo=ask.id, elapsed_s=0.0))
            return
        if self._judging >= self._device.settings.in_flight:
            self._refuse(Busy(f"{self._judging} questions are being judged already"), ask.id)
            return
        self._in_hand.add(prompt_id)
        asker = Asker(ask.id or str(prompt_id), ask.revisions)
        self._judging += 1
        try:
            asked = await self._device.accept(
                ask.text,
                task=cast("Task", ask.task),
                timeout_s=ask.timeout_s,
                priority=ask.priority,
                prompt_id=prompt_id,
                asker=asker,
                revised=self._revise(asker) if ask.revisions else None,
            )
        except BaseException:
            self._in_hand.discard(prompt_id)
            raise
        finally:
            self._judging -= 1
        if ask.receipt and not asked.result.done():
            self._say({"id": asker.echo, "accepted": True})
        await self._see_out(asked, asker, started_s)

    async def _see_out(self, asked: Asked, asker: Asker, started_s: float | None = None) -> None:
        """Publish the answer and let go of the prompt once the broker has it."""
        started_s = time.monotonic() if started_s is None else started_s
        try:
            result = await asked.result
            elapsed_s = time.monotonic() - started_s
            await self._publish(write_answer(result, echo=asker.echo, elapsed_s=elapsed_s))
            self._device.out(asked)
        finally:
            self._in_hand.discard(asked.prompt.id)

    async def _publish(self, answer: dict[str, Any]) -> None:
        await publish_until_taken(self._bus, self._answers, msgspec.json.encode(answer))

    def _revise(self, asker: Asker) -> Callable[[Result], None]:
        def publish(result: Result) -> None:
            answer = write_answer(result, echo=asker.echo, elapsed_s=0.0)
            self._say(answer | {"revision": True})

        return publish

    def _refuse(self, error: PromptError, echo: str | None) -> None:
        self._device.parts.metrics.refused.labels(error.code).inc()
        refused = Result(uuid4(), Failure(error.code, str(error)))
        self._say(write_answer(refused, echo=echo, elapsed_s=0.0))

    def _say(self, answer: dict[str, Any]) -> None:
        self._device.begin(self._publish(answer))

    def _repeated(self) -> None:
        self._device.parts.metrics.repeats.labels("ask").inc()


def _echo(payload: bytes) -> str | None:
    """Return the id of a question that was refused, if it can be read at all."""
    try:
        echo = msgspec.json.decode(payload)["id"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None
    return echo if isinstance(echo, str) and len(echo) <= _ID_BYTES else None
