"""``python -m device_agent --config configs/device.yaml``."""

from __future__ import annotations

import asyncio

from device_agent.app import Device
from device_agent.asking import AskTopic
from device_agent.sources import running_sources
from shared.command import agent_command
from shared.log import get_logger
from shared.running import until_stopped
from shared.settings import DeviceSettings

_log = get_logger()


async def run(settings: DeviceSettings) -> int:
    """Answer the device's ``ask`` topic and its sources until stopped.

    Sources of lines end: with the last of them so does the device. Returns 1 when a line got no
    answer.
    """
    async with Device.open(settings) as device, running_sources(device) as ending:
        await AskTopic(device).start()
        _log.info(
            "agent started",
            agent=settings.agent,
            tier=settings.tier.name,
            model=device.parts.station.batcher.model.name,
            broker=f"{settings.mqtt.host}:{settings.mqtt.port}",
        )
        if not ending:
            await until_stopped(device.parts)
            return 0
        stopping = asyncio.ensure_future(until_stopped(device.parts))
        reading = asyncio.gather(*ending)
        await asyncio.wait({stopping, reading}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            stopping.result()
        stopping.cancel()
        return min(sum(await reading), 1) if reading.done() else 1


command = agent_command(
    "device", DeviceSettings, run, "Run a device agent until SIGTERM, Ctrl-C or the end of input."
)

if __name__ == "__main__":
    command()
