"""One source's prompts on their way through the device: bounded, paced, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from device_agent.api.schema import write_answer
from shared.errors import ModelFailed
from shared.messages import Failure, Result
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from device_agent.app import Device
    from device_agent.delivery.requests import PendingRequest
    from device_agent.settings.sources import Source
    from device_agent.sources.priority_semaphore import PrioritySemaphore

_log = get_logger()
_QUIET_S = 60.0
_AGAIN_S = 1.0


class SourceItem(NamedTuple):
    """One prompt of a source; ``place`` says for people and for the source where it was.

    The same ``id`` is the same prompt: asked again, it is answered from memory.
    """

    id: UUID
    text: str
    place: Any


class SourceWorker:
    """Takes events, asks the device, and hands every answer to ``answered``."""

    def __init__(
        self,
        name: str,
        settings: Source,
        device: Device,
        turns: PrioritySemaphore,
        answered: Callable[[SourceItem, Result, dict[str, Any]], Awaitable[None]],
    ) -> None:
        self.name = name
        self._settings = settings
        self._device = device
        self._turns = turns
        self._answered = answered
        self._waiting: deque[SourceItem] = deque()
        self._changed = asyncio.Condition()
        self._faults = device.parts.metrics.source_faults
        self._said_s: dict[str, float] = {}
        self._next_s = 0.0

    def offer(self, event: SourceItem) -> None:
        """Take an event at once; the oldest that waits is dropped when there is no room."""
        if len(self._waiting) >= self._settings.queue_prompts:
            self._waiting.popleft()
            self.fault("dropped", f"more than {self._settings.queue_prompts} prompts wait")
        self._waiting.append(event)
        self._device.begin(self._wake())

    async def put(self, event: SourceItem) -> None:
        """Take an event as soon as there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < self._settings.queue_prompts)
            self._waiting.append(event)
            self._changed.notify_all()

    def fault(self, kind: str, reason: str, error: BaseException | None = None) -> None:
        """Count something that went wrong, and say so: each kind once a minute."""
        self._faults.labels(self.name, kind).inc()
        now_s = time.monotonic()
        if now_s - self._said_s.get(kind, float("-inf")) >= _QUIET_S:
            self._said_s[kind] = now_s
            _log.warning("source", source=self.name, fault=kind, reason=reason, exc_info=error)

    async def run(self, *loops: Callable[[], Awaitable[None]]) -> None:
        """Ask, as many at a time as the settings say, until cancelled.

        ``loops`` are what else the source does. One that breaks is begun anew after a pause, so it
        has to go on where it was.
        """
        everything = [*loops, *[self._work] * self._settings.in_flight]
        tasks = [asyncio.ensure_future(self._keep_up(loop)) for loop in everything]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _keep_up(self, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            if await self._ends_well(loop):
                return
            await asyncio.sleep(_AGAIN_S)

    async def _ends_well(self, loop: Callable[[], Awaitable[None]]) -> bool:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - said, counted, and the source goes on
            self.fault("broken", f"{type(error).__name__}: {error}; it goes on", error)
            return False
        return True

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _work(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self._waiting) > 0)
                event = self._waiting.popleft()
                self._changed.notify_all()
            await self._pace()
            await self._ask(event)

    async def _pace(self) -> None:
        """Wait for this prompt's time, if there is a limit."""
        if not self._settings.prompts_s:
            return
        now_s = time.monotonic()
        self._next_s = max(self._next_s, now_s) + 1 / self._settings.prompts_s
        await asyncio.sleep(self._next_s - 1 / self._settings.prompts_s - now_s)

    async def _ask(self, event: SourceItem) -> None:
        """See one prompt to its answer; one that breaks the device is answered with an error."""
        settings, started_s = self._settings, time.monotonic()
        asked: PendingRequest | None = None
        try:
            # Only until it is accepted: what waits for an answer from above takes no place.
            async with self._turns.hold(settings.priority):
                asked = await self._device.accept(
                    event.text,
                    task=settings.task,
                    options=settings.options,
                    timeout_s=settings.timeout_s,
                    priority=settings.priority,
                    prompt_id=event.id,
                )
            result = await asyncio.shield(asked.result)
        except Exception as error:  # noqa: BLE001 - what was taken gets an answer
            self.fault("broken", f"{type(error).__name__}: {error}; the prompt failed", error)
            result = Result(event.id, Failure(ModelFailed.code, f"{type(error).__name__}: {error}"))
        try:
            await self.answer(event, result, time.monotonic() - started_s)
        finally:
            if asked is not None:
                self._device.release(asked)

    async def answer(self, event: SourceItem, result: Result, elapsed_s: float = 0.0) -> None:
        """Hand a result on as the answer that people see."""
        answer = write_answer(result, echo=None, elapsed_s=elapsed_s)
        await self._answered(event, result, {"stream": self.name} | answer)
