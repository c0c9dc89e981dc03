"""A device: takes prompts from its program, answers what it can, and waits for the rest.

``ask`` is where the path of a prompt begins. It goes on in ``shared.station`` (judge, dispatch,
settle), ``shared.cascade`` (keep or escalate) and ``shared.threshold``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from device_agent.escalations import Escalations
from shared.assembly import assemble, mqtt, running
from shared.errors import ModelFailed, Stopping, UnknownTask
from shared.log import configure_once, get_logger
from shared.messages import TASKS, Prompt, Result, Task
from shared.settings import DeviceSettings
from shared.settings_file import load
from shared.station import Escalated, failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.assembly import Connect, Parts
    from shared.metrics import Metrics
    from shared.runtimes import Model

_log = get_logger()
_STOPPING = "the device is shutting down"


class Device:
    """One device agent inside this process.

    ::

        async with Device.open("configs/device.yaml") as device:
            result = await device.ask("a dull film, and far too long")
            print(result.outcome, result.tier)
    """

    def __init__(self, settings: DeviceSettings, parts: Parts) -> None:
        self.settings = settings
        self.parts = parts
        self._above = Escalations(settings, parts)
        self._room = asyncio.Semaphore(settings.in_flight)
        self._submitted: set[asyncio.Task[Result]] = set()
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
        parts = assemble(settings, model=model, connect=connect, metrics=metrics)
        device = cls(settings, parts)
        await device._above.start()
        async with running(parts, device._drain):
            yield device

    async def ask(
        self,
        text: str,
        *,
        task: Task = "classify",
        timeout_s: float | None = None,
        prompt_id: UUID | None = None,
    ) -> Result:
        """Return the one result of a prompt: an answer, or a failure that says why.

        It comes within ``timeout_s`` (the settings' default if None). The same ``prompt_id``
        asked twice at a time is one prompt. When ``in_flight`` prompts are under way, this waits.
        """
        prompt_id = prompt_id or uuid4()
        async with self._room:
            while (same := self._above.waiting(prompt_id)) is not None:
                await asyncio.wait({same})
                if not same.cancelled():
                    return same.result()
            limit_s = self.settings.limits.timeout_s if timeout_s is None else timeout_s
            deadline_s = time.monotonic() + limit_s
            return await self._see_through(
                Prompt(prompt_id, self.settings.agent, task, text, deadline_s)
            )

    def submit(
        self,
        text: str,
        *,
        task: Task = "classify",
        timeout_s: float | None = None,
        prompt_id: UUID | None = None,
    ) -> asyncio.Task[Result]:
        """Start to ``ask`` and return the task, to be awaited when the result is wanted."""
        asking = self.ask(text, task=task, timeout_s=timeout_s, prompt_id=prompt_id)
        submitted = asyncio.create_task(asking)
        self._submitted.add(submitted)
        submitted.add_done_callback(self._submitted.discard)
        return submitted

    async def _see_through(self, prompt: Prompt) -> Result:
        """Accept the prompt, settle it here or above, and resolve it exactly once."""
        answered = self._above.accept(prompt)
        try:
            settled = await self._settle(prompt)
            if isinstance(settled, Result):
                self._above.resolve(settled)
            elif self._stopping:
                self._above.degrade(settled, _STOPPING)
            else:
                self._above.sent(settled)
            return await answered
        finally:
            self._above.withdraw(prompt.id, answered)

    async def _settle(self, prompt: Prompt) -> Result | Escalated:
        if self._stopping:
            return failed(prompt, Stopping(_STOPPING))
        if prompt.task not in TASKS:
            known = ", ".join(TASKS)
            return failed(prompt, UnknownTask(f"no task is called {prompt.task!r}; known: {known}"))
        try:
            return await self.parts.station.settle(prompt, self._above.going)
        except Exception as error:  # noqa: BLE001 - an accepted prompt always gets a result
            _log.exception("a prompt broke the station", id=str(prompt.id))
            return failed(prompt, ModelFailed(f"{type(error).__name__}: {error}"))

    async def _drain(self) -> None:
        """Finish what is in hand; what is still above by then gets our own answer."""
        self._stopping = True
        await self._above.drain(self.settings.limits.drain_s)
        if self._submitted:
            await asyncio.wait(self._submitted, timeout=1.0)
