"""Asks as a careful program does: at its own pace, and again until there is an answer.

Where nothing but agents and their links breaks, a receipt is enough and the question is not asked
again; where the broker may lose the answer itself, only the answer is.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from chaos.plan import task_of
from chaos.questions import OPTIONS, texts_of
from shared.bus.mqtt.bus import MqttBus
from shared.errors import BusError
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.ledger import Ledger
    from shared.bus import Message
    from shared.bus.mqtt.settings import MqttSettings

_AGAIN_S = 2.0
_PUBLISH_S = 2.0


class CarefulAsker:
    """One program with questions for several devices; use as an async context."""

    def __init__(
        self,
        mqtt: MqttSettings,
        devices: Sequence[str],
        ledger: Ledger,
        seed: int,
        *,
        trusts_receipts: bool,
    ) -> None:
        self._bus = MqttBus(mqtt, f"chaos-asker-{uuid4().hex[:6]}")
        self._devices = list(devices)
        self._ledger = ledger
        self._topics = Topics()
        self._draw = random.Random(seed)  # noqa: S311 - draws texts, guards nothing
        self._texts = {task: texts_of(task) for task in set(map(task_of, devices))}
        self._trusts_receipts = trusts_receipts
        self._open: dict[str, tuple[str, dict[str, Any]]] = {}
        self._received: set[str] = set()
        self._number = 0
        self._sending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> CarefulAsker:  # noqa: PYI034 - typing has Self from 3.11 on
        for device in self._devices:
            await self._bus.subscribe(self._topics.answers(device), self._hear)
        await self._bus.start()
        await self._bus.wait_connected(10)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._sending:
            task.cancel()
        await self._bus.close()

    async def ask_for(
        self, seconds: float, rate_s: float, *, timeout_s: float, pad_bytes: int = 0, texts: int = 0
    ) -> None:
        """Ask at a rate, by an absolute clock, and repeat what stays unanswered.

        ``texts`` are how many different ones are asked, if not all that there are.
        """
        started_s = time.monotonic()
        again_s = started_s + _AGAIN_S
        for number in range(int(seconds * rate_s)):
            due_s = started_s + number / rate_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            known = self._texts[task_of(self._next_device)]
            text = self._draw.choice(known[: texts or len(known)])
            self.ask(text + " " * pad_bytes, timeout_s=timeout_s)
            if time.monotonic() >= again_s:
                again_s += _AGAIN_S
                self._ask_again()

    @property
    def next_id(self) -> str:
        """Return the id of the question that is asked next."""
        return f"q{self._number + 1}"

    @property
    def _next_device(self) -> str:
        return self._devices[(self._number + 1) % len(self._devices)]

    def ask(self, text: str, *, timeout_s: float, device: str = "") -> str:
        """Ask one question, of the device named or of the next in turn; return its id.

        It is of the task that the device serves.
        """
        question_id, device = self.next_id, device or self._next_device
        self._number += 1
        task = task_of(device)
        question = {
            "id": question_id, "text": text, "task": task, "timeout_s": timeout_s,
            "receipt": True, "revisions": True,
        }  # fmt: skip
        if task in OPTIONS:
            question["options"] = OPTIONS[task]
        self._ledger.ask(question_id, time.monotonic())
        self._open[question_id] = (device, question)
        self._send(device, question)
        return question_id

    async def until_answered(self, limit_s: float) -> None:
        """Ask again and again until every question is answered, or the time is up."""
        give_up_s = time.monotonic() + limit_s
        while (self._open or self._received) and time.monotonic() < give_up_s:
            await asyncio.sleep(_AGAIN_S / 2)
            self._ask_again()

    def _ask_again(self) -> None:
        for question_id, (device, question) in list(self._open.items()):
            self._ledger.ask(question_id, time.monotonic())
            self._send(device, question)

    def _send(self, device: str, question: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._publish(device, question))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _publish(self, device: str, question: dict[str, Any]) -> None:
        payload = msgspec.json.encode(question)
        try:
            await self._bus.publish(self._topics.ask(device), payload, expiry_s=_PUBLISH_S)
        except BusError:
            return  # it is asked again

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        answer = msgspec.json.decode(message.payload)
        self._ledger.hear(answer, time.monotonic())
        question_id = str(answer.get("id"))
        if not answer.get("accepted"):
            self._open.pop(question_id, None)
            self._received.discard(question_id)
        elif self._trusts_receipts and question_id in self._open:
            del self._open[question_id]
            self._received.add(question_id)
