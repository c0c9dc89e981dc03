"""The prompts that a device has accepted, with whoever waits for them, and the accounts of both.

Accepted = answered + pending holds at every moment and is a metric (``recserve_unaccounted``).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

from shared.messages import Failure, Prompt, Result
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from device_agent.delivery.outbox_codec import ReplyTo
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_RECENT = 1_000
_Kept = TypeVar("_Kept")


class PendingRequest:
    """A prompt in hand.

    ``accepted`` is done when its row is committed or its result is there, ``result`` when its one
    result is; ``revised`` is called with a better one that comes after a degraded one. ``waiters``
    is how many have yet to see the result.
    """

    def __init__(
        self,
        prompt: Prompt,
        asker: ReplyTo | None = None,
        revised: Callable[[Result], None] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.prompt = prompt
        self.asker = asker
        self.revised = revised
        self.accepted: asyncio.Future[None] = loop.create_future()
        self.result: asyncio.Future[Result] = loop.create_future()
        self.waiters = 1
        self.since_s = time.monotonic()

    def accept(self) -> None:
        """Say that the prompt will not be lost any more."""
        if not self.accepted.done():
            self.accepted.set_result(None)


class RequestTable:
    """The table of ``PendingRequest`` prompts by id; one leaves when its result is out."""

    def __init__(
        self, metrics: Metrics, tier: str, note: Callable[[Prompt, Result, float], None]
    ) -> None:
        """Begin empty; ``note`` hears of every prompt with its result and the wait in seconds."""
        self._metrics = metrics
        self._note = note
        self._tier = tier
        self.accepted = 0
        self.answered = 0
        self._asked: dict[UUID, PendingRequest] = {}
        self._revisable: OrderedDict[UUID, PendingRequest] = OrderedDict()
        self._recent: OrderedDict[UUID, Result] = OrderedDict()

    def __len__(self) -> int:
        return len(self._asked)

    def __iter__(self) -> Iterator[PendingRequest]:
        return iter(list(self._asked.values()))

    def add(self, asked: PendingRequest) -> None:
        """Accept a prompt."""
        self._asked[asked.prompt.id] = asked
        self.accepted += 1
        self._metrics.accepted.inc()

    def find(self, prompt_id: UUID) -> PendingRequest | None:
        """Return a prompt whose result is not out yet."""
        return self._asked.get(prompt_id)

    def recent(self, prompt_id: UUID) -> Result | None:
        """Return the answer to a prompt that was asked not long ago."""
        return self._recent.get(prompt_id)

    def waiting(self) -> list[asyncio.Future[Result]]:
        """Return the results that are not there yet."""
        return [asked.result for asked in self if not asked.result.done()]

    def answer(self, result: Result) -> None:
        """Hand the one result to whoever waits for it."""
        asked = self._asked[result.id]
        if result.degraded:
            self._metrics.prompts.labels(self._tier, asked.prompt.task, "degraded").inc()
            _log.warning("prompt degraded", id=str(result.id), reason=result.degraded)
            _keep(self._revisable, result.id, asked)
        self._count(_kind(result))
        waited_s = time.monotonic() - asked.since_s
        self._note(asked.prompt, result, waited_s)
        if not isinstance(result.outcome, Failure):
            self._metrics.count_answer(result.tier, waited_s, degraded=bool(result.degraded))
            _keep(self._recent, result.id, result)
        asked.accept()
        if not asked.result.done():
            asked.result.set_result(result)

    def revise(self, result: Result) -> None:
        """Hand on a better answer than the degraded one, where it is wanted."""
        asked = self._revisable.pop(result.id, None)
        if asked is not None and asked.revised is not None:
            self._metrics.repeats.labels("revision").inc()
            self._note(asked.prompt, result, time.monotonic() - asked.since_s)
            _keep(self._recent, result.id, result)
            asked.revised(result)

    def remove(self, asked: PendingRequest) -> bool:
        """Let one reader go, and with the last one the prompt; say whether it is gone now.

        Without effect when the table holds a later prompt of that id, or none.
        """
        asked.waiters -= 1
        if asked.waiters > 0 or self._asked.get(asked.prompt.id) is not asked:
            return False
        del self._asked[asked.prompt.id]
        if not asked.result.done():
            self._count("withdrawn")
            asked.result.cancel()
        return True

    def _count(self, kind: str) -> None:
        self.answered += 1
        self._metrics.answered.labels(kind).inc()


def _kind(result: Result) -> str:
    if isinstance(result.outcome, Failure):
        return "failure"
    return "degraded" if result.degraded else "answer"


def _keep(memory: OrderedDict[UUID, _Kept], prompt_id: UUID, kept: _Kept) -> None:
    memory[prompt_id] = kept
    if len(memory) > _RECENT:
        memory.popitem(last=False)
