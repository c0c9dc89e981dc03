"""How other programs ask a device over MQTT: plain text or JSON in, JSON out.

A message on the device's ``ask`` topic is the prompt's text, or a JSON object with ``text`` and
optionally ``id`` (echoed), ``task`` and its ``options``, ``timeout_s``, ``priority``, ``receipt``
and ``revisions``. Every question gets one JSON object, with ``label`` (or what else its task
answers) or, when there is no answer, ``error`` and ``reason``: on the ``answers`` topic, or on the
response topic that its message names (MQTT 5), with the correlation data of the message. With
``receipt`` an object with ``accepted`` comes first, once a question that takes its time is safe in
the outbox; with ``revisions`` a better answer that comes after a degraded one follows, marked
``revision``. The same question asked again is answered again and not judged again; its ``id``
without a ``text`` will do. More questions at once than the device's ``in_flight`` are answered with
the error ``busy``; a flood of them is not answered, nor what comes when the device is leaving:
whoever has neither receipt nor answer asks again.

Whoever reads the answers of another knows its ids. So an id that is in hand is nobody else's: the
same id with another text, on the same topic of answers, is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID, uuid4

import msgspec

from device_agent.api.publishing import publish_until_taken
from device_agent.api.schema import Ask, Desk, Echo, read_ask, read_desk, read_echo, write_answer
from device_agent.delivery.outbox_codec import ReplyTo
from shared.bus import Published
from shared.errors import Busy, InvalidPrompt, MalformedMessage, PromptError, Stopping
from shared.messages import Failure, Result
from shared.telemetry.rejections import RejectionLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_agent.app import Device
    from device_agent.delivery.requests import PendingRequest
    from shared.bus import Message
    from shared.tasks import Task

_ANSWERED: Final = 1_000
_BACKLOG: Final = 2_000
"""Answers that may wait for the broker; beyond that questions are dropped."""
_DROPPED: Final = {
    "retained": "a question that the broker kept is not asked again: publish it without retain",
    "flooded": f"{_BACKLOG} answers wait for the broker already",
}
_RETURN_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses after which an answer is said again to an asker who has its receipt and is not there."""
UNSAID: Final = "unsaid"
_UNSAID_REASON: Final = "there is an answer, but the broker carries no message with it"


class AskTopic:
    """Answers what comes on the device's ``ask`` topic."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._bus = device.parts.bus
        self._answers = device.parts.topics.answers(device.settings.agent)
        self._open: dict[tuple[str, Echo], UUID] = {}
        self._answered: OrderedDict[tuple[str, Echo], UUID] = OrderedDict()
        self._judging = 0
        self._saying = 0
        self._rejections = RejectionLog(device.parts.metrics)

    async def start(self) -> None:
        """Answer what an earlier run had accepted, and begin to take questions."""
        for asked in self._device.delivery.pending:
            if asked.asker is not None:
                asker = asked.asker
                self._open[self._desk(asker).topic, asker.echo] = asked.prompt.id
                self._device.begin(self._deliver(asked, asker))
        topic = self._device.parts.topics.ask(self._device.settings.agent)
        await self._bus.subscribe(topic, self._take)

    def _take(self, message: Message) -> None:
        """Acknowledge and begin: what waits to be acknowledged would hold up the results above.

        It promises nothing: without a session the broker forgets the message anyway when we die.
        What an asker can rely on is the receipt, or the answer. A question that the broker kept is
        somebody's mistake: it would be asked again at every connect.
        """
        self._bus.acknowledge(message)
        if message.retained or self._saying >= _BACKLOG:
            fault = "retained" if message.retained else "flooded"
            self._rejections.record(message.topic, MalformedMessage(_DROPPED[fault]), fault=fault)
            return
        desk = Desk(self._answers)
        try:
            desk = read_desk(message, self._answers, self._device.parts.topics.root)
            ask = read_ask(message.payload)
        except InvalidPrompt as error:
            self._refuse(error, read_echo(message.payload), desk)
            return
        if ask.text is None:
            self._say_again(ask, desk)
            return
        answer_to = desk.topic if desk.topic != self._answers else ""
        asker = ReplyTo(ask.id or "", ask.revisions, answer_to, desk.correlation, ask.receipt)
        self._device.begin(self._serve(ask, ask.text, asker))

    async def _serve(self, ask: Ask, text: str, asker: ReplyTo) -> None:
        """See one question through, unless it is a repeat of one that is in hand or answered."""
        started_s = time.monotonic()
        prompt_id = ask.prompt_id(self._device.settings.agent, asker.answer_to)
        if ask.id is None:
            asker = msgspec.structs.replace(asker, echo=str(prompt_id))
        desk = self._desk(asker)
        key = (desk.topic, asker.echo)
        if self._is_known(key, prompt_id, desk):
            return
        if self._judging >= self._device.settings.in_flight:
            busy = Busy(f"{self._judging} questions are being judged already")
            self._refuse(busy, ask.id, desk)
            return
        self._open[key] = prompt_id
        self._judging += 1
        try:
            asked = await self._device.accept(
                text,
                task=cast("Task", ask.task),
                options=ask.options,
                timeout_s=ask.timeout_s,
                priority=ask.priority,
                prompt_id=prompt_id,
                asker=asker,
                revised=self._revise(asker) if ask.revisions else None,
            )
        except BaseException:
            self._open.pop(key, None)
            raise
        finally:
            self._judging -= 1
        if ask.receipt and not asked.result.done():
            self._say({"id": asker.echo, "accepted": True}, desk)
        await self._deliver(asked, asker, started_s)

    def _is_known(self, key: tuple[str, Echo], prompt_id: UUID, desk: Desk) -> bool:
        """Answer a question that needs no judging: a repeat, or one under somebody else's id."""
        in_hand = self._open.get(key)
        if in_hand is not None and in_hand != prompt_id:
            said = f"the id {key[1]!r} is that of another question, which is not answered yet"
            self._refuse(InvalidPrompt(said), None, desk)
            return True
        known = self._device.delivery.pending.recent(prompt_id)
        if in_hand is None and known is None:
            return False
        self._repeated()
        if in_hand is None and known is not None:
            self._say(write_answer(known, echo=key[1], elapsed_s=0.0), desk)
        return True

    def _say_again(self, ask: Ask, desk: Desk) -> None:
        """Say the answer to a question of which only the id is told, unless it is still to come."""
        assert ask.id is not None, "it has one or the other"  # noqa: S101
        key = (desk.topic, ask.id)
        if key in self._open:
            self._repeated()
            return
        prompt_id = self._answered.get(key)
        known = self._device.delivery.pending.recent(prompt_id) if prompt_id else None
        if known is None:
            said = f"no question {ask.id!r} is known here any more; ask it with its text"
            self._refuse(InvalidPrompt(said), ask.id, desk)
            return
        self._repeated()
        self._say(write_answer(known, echo=ask.id, elapsed_s=0.0), desk)

    async def _deliver(
        self, asked: PendingRequest, asker: ReplyTo, started_s: float | None = None
    ) -> None:
        """Publish the answer and let go of the prompt once the broker has it."""
        started_s = time.monotonic() if started_s is None else started_s
        desk = self._desk(asker)
        key = (desk.topic, asker.echo)
        try:
            result = await asked.result
            elapsed_s = time.monotonic() - started_s
            if not _comes_too_late(result):
                answer = write_answer(result, echo=asker.echo, elapsed_s=elapsed_s)
                await self._publish_to_who_waits(answer, asker, desk)
            self._device.release(asked)
        finally:
            self._open.pop(key, None)
            self._answered[key] = asked.prompt.id
            self._answered.move_to_end(key)
            if len(self._answered) > _ANSWERED:
                self._answered.popitem(last=False)

    async def _publish_to_who_waits(
        self, answer: dict[str, Any], asker: ReplyTo, desk: Desk
    ) -> None:
        """Publish an answer, and for a while again if whoever has the receipt is not there.

        Its connection may be on its way back, after a restart of the broker say. Brokers that speak
        MQTT 5 tell that nobody has subscribed.
        """
        delivery = await self._publish(answer, desk)
        for pause_s in _RETURN_S if asker.receipt else ():
            if delivery is not Published.NO_SUBSCRIBER:
                return
            await asyncio.sleep(pause_s)
            delivery = await self._publish(answer, desk)

    async def _publish(self, answer: dict[str, Any], desk: Desk) -> Published | None:
        """Publish an answer; where that cannot be done, say so in its place, once and shortly."""
        self._saying += 1
        try:
            delivery = await self._taken(msgspec.json.encode(answer), desk)
            if delivery is None:
                said = {"id": answer["id"], "error": UNSAID, "reason": _UNSAID_REASON}
                delivery = await self._taken(msgspec.json.encode(said), Desk(self._answers))
            if delivery is None:
                self._device.parts.metrics.refused.labels(UNSAID).inc()
            return delivery
        finally:
            self._saying -= 1

    async def _taken(self, payload: bytes, desk: Desk) -> Published | None:
        return await publish_until_taken(
            self._bus, desk.topic, payload, correlation=desk.correlation
        )

    def _desk(self, asker: ReplyTo) -> Desk:
        return Desk(asker.answer_to or self._answers, asker.correlation)

    def _revise(self, asker: ReplyTo) -> Callable[[Result], None]:
        def publish(result: Result) -> None:
            answer = write_answer(result, echo=asker.echo, elapsed_s=0.0)
            self._say(answer | {"revision": True}, self._desk(asker))

        return publish

    def _refuse(self, error: PromptError, echo: Any, desk: Desk) -> None:
        self._device.parts.metrics.refused.labels(error.code).inc()
        refused = Result(uuid4(), Failure(error.code, str(error)))
        self._say(write_answer(refused, echo=echo, elapsed_s=0.0), desk)

    def _say(self, answer: dict[str, Any], desk: Desk) -> None:
        self._device.begin(self._publish(answer, desk))

    def _repeated(self) -> None:
        self._device.parts.metrics.repeats.labels("ask").inc()


def _comes_too_late(result: Result) -> bool:
    """Say whether a question came when the device was leaving: its next life will answer it."""
    return isinstance(result.outcome, Failure) and result.outcome.code == Stopping.code
