"""``recserve device``: a device agent as a command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from device_agent.api.mqtt import AskTopic
from device_agent.app import Device
from device_agent.settings import DeviceSettings
from device_agent.sources import running_sources
from shared.agent.command import agent_command
from shared.agent.reload import reloading
from shared.agent.run import until_stopped
from shared.runtimes import short_digest
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.agent.reload import Reread

_log = get_logger()


async def run(settings: DeviceSettings, reread: Reread) -> int:
    """Answer the device's ``ask`` topic and its sources until stopped.

    Sources of lines end: with the last of them so does the device. Returns 1 when a line got no
    answer. On SIGHUP the settings are ``reread`` and the model is exchanged.
    """
    async with (
        Device.open(settings) as device,
        reloading(device.parts, settings, reread),
        running_sources(device) as ending,
    ):
        await AskTopic(device).start()
        _log.info(
            "agent started",
            agent=settings.agent,
            tier=settings.tier.name,
            model=device.parts.slot.model.name,
            bundle=short_digest(device.parts.slot.model),
            broker=str(settings.mqtt.brokers[0]),
        )
        if not ending:
            await until_stopped(device.parts, settings.limits.drain_s)
            return 0
        stopping = asyncio.ensure_future(until_stopped(device.parts, settings.limits.drain_s))
        reading = asyncio.ensure_future(_failures(ending))
        both: set[asyncio.Future[Any]] = {stopping, reading}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            stopping.result()
        stopping.cancel()
        if reading.cancel():
            return 1
        return min(reading.result(), 1)


async def _failures(ending: Sequence[asyncio.Task[int]]) -> int:
    """Wait for sources to end; return how many prompts got no answer, or raise what ended one."""
    await asyncio.wait(ending, return_when=asyncio.FIRST_EXCEPTION)
    return sum(source.result() for source in ending if source.done())


command = agent_command(
    "device", DeviceSettings, run, "Run a device agent until SIGTERM, Ctrl-C or the end of input."
)
