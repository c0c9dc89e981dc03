"""A device: takes prompts from its program, answers what it can, and waits for the rest.

``ask`` is where the path of a prompt begins. It goes on in ``shared.serving.station`` (process),
``shared.cascade.tier`` (keep or escalate) and ``shared.cascade.threshold``.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

from device_agent.delivery.driver import STOPPING, DeliveryDriver
from device_agent.delivery.outbox_file import OutboxFile
from device_agent.delivery.quarantine import PoisonGuard
from device_agent.delivery.requests import PendingRequest
from device_agent.settings import DeviceSettings
from shared.agent.build import build_agent, mqtt
from shared.agent.learned import keeping_what_is_learned
from shared.agent.run import run_agent
from shared.errors import InvalidPrompt, ModelFailed, Quarantined, Stopping
from shared.messages import Prompt, Result
from shared.settings.file import load
from shared.storage.state_dir import state_folder
from shared.telemetry.log import configure_once, get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from device_agent.delivery.outbox_codec import ReplyTo
    from shared.agent.build import AgentParts, Connect
    from shared.cascade.tier import Escalation
    from shared.runtimes import Model
    from shared.tasks import Options, Task
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_Value = TypeVar("_Value")
_LONGEST_S = 7 * 24 * 3600.0
"""Time that a prompt is given at most: what asks for ever is not waited for as long."""


class Device:
    """One device agent inside this process.

    ::

        async with Device.open("configs/device.yaml") as device:
            result = await device.ask("a dull film, and far too long")
            print(result.outcome, result.tier)
    """

    def __init__(
        self,
        settings: DeviceSettings,
        parts: AgentParts,
        file: OutboxFile | None = None,
        guard: PoisonGuard | None = None,
    ) -> None:
        self.settings = settings
        self.parts = parts
        self.delivery = DeliveryDriver(settings, parts, file, guard)
        self._guard = guard
        self._room = asyncio.Semaphore(settings.in_flight)
        self._work: set[asyncio.Task[Any]] = set()
        self._stopping = False

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        settings: DeviceSettings | str | Path,
        *,
        model: Model | None = None,
        connect: Connect = mqtt,
        metrics: Metrics | None = None,
    ) -> AsyncIterator[Device]:
        """Run a device for as long as the context lasts; ``settings`` may be a YAML file.

        It answers at once, whether or not a broker is there yet. Raises ``SettingsError``,
        ``BundleError`` or ``RuntimeUnavailable``.
        """
        if not isinstance(settings, DeviceSettings):
            settings = load(DeviceSettings, settings, environment=os.environ)
        configure_once(settings.log)
        async with contextlib.AsyncExitStack() as closing:
            folder = closing.enter_context(state_folder(settings.state, settings.agent))
            file = guard = None
            if folder is not None:
                limit_bytes = settings.outbox.megabytes << 20
                file = OutboxFile.open(folder, settings.agent, limit_bytes=limit_bytes)
                closing.push_async_callback(file.close)
                guard = PoisonGuard(folder, settings.agent, attempts=settings.limits.attempts)
                closing.push_async_callback(guard.close)
            parts = build_agent(
                settings,
                model=model,
                connect=connect,
                metrics=metrics,
                around=None if guard is None else guard.counted,
                patient=not settings.tier.above,
            )
            device = cls(settings, parts, file, guard)
            await closing.enter_async_context(keeping_what_is_learned(folder, settings, parts))
            await device.delivery.start()
            async with run_agent(parts, device._drain):
                yield device

    async def ask(
        self,
        text: str,
        *,
        task: Task = "classify",
        options: Options | None = None,
        timeout_s: float | None = None,
        priority: int = 0,
        prompt_id: UUID | None = None,
    ) -> Result:
        """Return the one result of a prompt: an answer, or a failure that says why.

        It comes within ``timeout_s`` (the settings' default if None). The same ``prompt_id``
        asked again is the same prompt and gets the same result, as far back as the last thousand.
        When ``in_flight`` prompts are being judged, this waits. Of those that wait for the model
        the one with the highest ``priority`` goes first. ``options`` say how the task's answer is
        wanted (``docs/tasks.md``). Raises ``InvalidPrompt`` for a time or options that are none.
        """
        known = self.delivery.pending.recent(prompt_id) if prompt_id else None
        if known is not None:
            return known
        asked = await self.accept(
            text,
            task=task,
            options=options,
            timeout_s=timeout_s,
            priority=priority,
            prompt_id=prompt_id,
        )
        try:
            return await asyncio.shield(asked.result)
        finally:
            self.release(asked)

    async def accept(
        self,
        text: str,
        *,
        task: Task = "classify",
        options: Options | None = None,
        timeout_s: float | None = None,
        priority: int = 0,
        prompt_id: UUID | None = None,
        asker: ReplyTo | None = None,
        revised: Callable[[Result], None] | None = None,
    ) -> PendingRequest:
        """Return once a prompt will not be lost: it is committed, or its result is there.

        One that is in hand already is joined. ``asker`` is kept with the prompt, for an answer
        after a restart. Whoever calls this says ``out`` when the result has reached its reader;
        until then a restart brings it again.
        """
        asked = self.delivery.pending.find(prompt_id) if prompt_id else None
        if asked is not None:
            asked.waiters += 1
        else:
            deadline_s = time.monotonic() + self._limit_s(timeout_s, priority)
            prompt = Prompt(
                prompt_id or uuid4(),
                self.settings.agent,
                task,
                text,
                deadline_s,
                priority=priority,
                options=_plain(options),
                sourced=True,
            )
            asked = PendingRequest(prompt, asker, revised)
            self.delivery.accept(asked)
            self.begin(self._process(prompt, turned_away=self._stopping))
        try:
            await asyncio.shield(asked.accepted)
        except BaseException:
            self.release(asked)
            raise
        return asked

    def _limit_s(self, timeout_s: float | None, priority: int) -> float:
        """Return the time that a prompt has. Raises ``InvalidPrompt``."""
        limit_s = self.settings.limits.timeout_s if timeout_s is None else timeout_s
        if not isinstance(limit_s, int | float) or math.isnan(limit_s):
            raise InvalidPrompt(f"timeout_s is a number of seconds, not {limit_s!r}")
        if not isinstance(priority, int):
            raise InvalidPrompt(f"priority is a whole number, not {priority!r}")
        return min(limit_s, _LONGEST_S)

    def release(self, asked: PendingRequest) -> None:
        """Let go of a prompt: its result is out, or nobody wants it any more."""
        self.delivery.release(asked)

    def submit(
        self,
        text: str,
        *,
        task: Task = "classify",
        options: Options | None = None,
        timeout_s: float | None = None,
        priority: int = 0,
        prompt_id: UUID | None = None,
    ) -> asyncio.Task[Result]:
        """Start to ``ask`` and return the task, to be awaited when the result is wanted."""
        asking = self.ask(
            text,
            task=task,
            options=options,
            timeout_s=timeout_s,
            priority=priority,
            prompt_id=prompt_id,
        )
        return self.begin(asking)

    def begin(self, work: Coroutine[Any, Any, _Value]) -> asyncio.Task[_Value]:
        """Start work that the device sees to its end, or for a second, when it is left."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a prompt's work broke", exc_info=error)

    async def _process(self, prompt: Prompt, *, turned_away: bool) -> None:
        """Answer a prompt or send it on its way up, whoever still waits for it.

        It is turned away if it came when the device was leaving already.
        """
        decided: Result | Escalation | None = None
        try:
            if turned_away:
                decided = Result.failure(prompt, Stopping(STOPPING))
                return
            async with self._room:
                decided = await self._decide(prompt)
        finally:
            broken = "the work on the prompt broke off"
            self.delivery.decided(decided or Result.failure(prompt, ModelFailed(broken)))

    async def _decide(self, prompt: Prompt) -> Result | Escalation:
        try:
            if self._guard is not None:
                await self._guard.check(prompt)
        except Quarantined as error:
            self.parts.metrics.refused.labels(error.code).inc()
            return Result.failure(prompt, error)
        return await self.parts.station.process(prompt)

    async def _drain(self) -> None:
        """Finish what is in hand; what is still above by then gets our own answer."""
        self._stopping = True
        await self.delivery.drain(self.settings.limits.drain_s)
        if self._work:
            await asyncio.wait(self._work, timeout=1.0)


def _plain(options: Options | None) -> Options:
    """Return options that can be stored and sent. Raises ``InvalidPrompt``."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise InvalidPrompt(f"options is a mapping of names to values, not {options!r:.64}")
    return dict(options)
