"""Runs a device's sources beside everything else that it does."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_agent.settings.sources import FileSource, LinesSource, MqttSource, Source
from device_agent.sources.file import FileStream
from device_agent.sources.folder import FolderStream
from device_agent.sources.lines import LinesStream
from device_agent.sources.mqtt import MqttStream
from device_agent.sources.priority_semaphore import PrioritySemaphore
from shared.errors import SettingsError
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_agent.app import Device

_log = get_logger()


@contextlib.asynccontextmanager
async def running_sources(device: Device) -> AsyncIterator[list[asyncio.Task[int]]]:
    """Take prompts from every source of the settings as long as the context lasts.

    Yields the sources that end by themselves, as tasks that return how many prompts got no answer.
    Raises ``SettingsError`` that names the source, before any of them begins.
    """
    turns = PrioritySemaphore(device.settings.in_flight)
    streams = [
        _stream(name, source, device, turns) for name, source in device.settings.sources.items()
    ]
    ending = [asyncio.create_task(s.run()) for s in streams if isinstance(s, LinesStream)]
    endless = [asyncio.create_task(s.run()) for s in streams if not isinstance(s, LinesStream)]
    for source in endless:
        source.add_done_callback(_note_end)
    try:
        yield ending
    finally:
        everyone: list[asyncio.Task[Any]] = [*ending, *endless]
        for task in everyone:
            task.cancel()
        await asyncio.gather(*everyone, return_exceptions=True)


def _stream(
    name: str, source: Source, device: Device, turns: PrioritySemaphore
) -> MqttStream | FileStream | FolderStream | LinesStream:
    try:
        if isinstance(source, LinesSource):
            return LinesStream(name, source, device, turns, sys.stdout)
        state = Path(device.settings.state) if device.settings.state else None
        if isinstance(source, MqttSource):
            return MqttStream(name, source, device, turns, state)
        if isinstance(source, FileSource):
            return FileStream(name, source, device, turns, state)
        return FolderStream(name, source, device, turns)
    except SettingsError as error:
        raise SettingsError(f"sources.{name}: {error}") from error


def _note_end(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a source ended", reason=str(error), exc_info=error)
