"""Many devices in one process, each with its own name, connection, window and outbox.

``python -m chaos.crowd --config device.yaml --count 300``: they share one loaded model.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

import click
import msgspec

from device_agent import Device
from device_agent.api.mqtt import AskTopic
from device_agent.settings import DeviceSettings
from shared.agent.run import until_asked_to_stop
from shared.runtimes import load_model
from shared.settings.file import load
from shared.telemetry.metrics import Metrics


@click.command()
@click.option("--config", required=True, help="Settings of them all; the name is a stem.")
@click.option("--count", required=True, type=int, help="How many.")
def main(config: str, count: int) -> None:
    """Run them until we are asked to stop."""
    asyncio.run(_run(load(DeviceSettings, config, environment=os.environ), count))


async def _run(settings: DeviceSettings, count: int) -> None:
    model = load_model(settings.model)
    async with AsyncExitStack() as devices:
        for number in range(1, count + 1):
            own = msgspec.structs.replace(settings, agent=f"device-{number}")
            opened = Device.open(own, model=model, metrics=Metrics())
            await AskTopic(await devices.enter_async_context(opened)).start()
        await until_asked_to_stop()
    model.close()


if __name__ == "__main__":
    main()
