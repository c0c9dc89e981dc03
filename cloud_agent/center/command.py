"""``recserve center``: the centre of a fleet as a command."""

from __future__ import annotations

import asyncio
import os

import click

from cloud_agent.center.settings import CenterSettings
from cloud_agent.center.web.access import token_place
from shared.agent.command import settings_options
from shared.agent.run import until_asked_to_stop
from shared.cli import clear_errors, open_handles
from shared.errors import RuntimeUnavailable
from shared.settings.file import load
from shared.storage.state_dir import state_folder
from shared.telemetry import log
from shared.telemetry.log import get_logger

_log = get_logger()


@click.command("center", help="Run the centre of a fleet until SIGTERM or Ctrl-C.")
@settings_options
def command(files: tuple[str, ...], flags: tuple[str, ...]) -> None:
    """Load the settings and run."""
    open_handles()
    with clear_errors():
        settings = load(CenterSettings, files, environment=os.environ, flags=flags)
        log.configure(settings.log)
        asyncio.run(_run(settings))


async def _run(settings: CenterSettings) -> None:
    try:
        from cloud_agent.center.app import Center  # noqa: PLC0415 - optional
        from cloud_agent.center.web.server import page  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"{error.name} is not installed; in the folder of this project: "
            'pip install -e ".[center]"'
        ) from error
    with state_folder(settings.state, settings.name):
        async with Center.open(settings, settings.mqtt) as center, page(center) as url:
            _log.info(
                "center started",
                center=settings.name,
                broker=str(settings.mqtt.brokers[0]),
                page=url,
                token=str(token_place(settings)),
            )
            await until_asked_to_stop()
            _log.info("stopping", agents=len(center.registry))
