"""``recserve up``: a broker and any number of agents on this machine, from one YAML file."""

from __future__ import annotations

import asyncio
import os

import click

from recserve.processes import UpSettings, plan, running
from shared import log
from shared.command import clear_errors
from shared.running import until_asked_to_stop
from shared.settings import LogSettings
from shared.settings_file import load


@click.command("up", help="Run a broker and the agents of one YAML file until Ctrl-C.")
@click.option(
    "--config",
    "-c",
    default="configs/up.yaml",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="YAML file that lists the broker and the agents.",
)
def command(config: str) -> None:
    """Run everything; the end of any process ends all."""
    with clear_errors():
        log.configure(LogSettings(level="warning"))
        asyncio.run(_run(load(UpSettings, config, flags=()), os.path.basename(config)))  # noqa: PTH119


async def _run(up: UpSettings, name: str) -> None:
    agents = plan(up)
    async with running(up.broker, agents) as processes:
        names = ", ".join(agent.settings.agent for agent in agents)
        click.echo(f"{name} is up on {up.broker.host}:{up.broker.port}: {names}", err=True)
        click.echo(f'try: recserve ask --port {up.broker.port} "what a lovely pump"', err=True)
        stopped = asyncio.create_task(until_asked_to_stop())
        ended = asyncio.create_task(processes.first_ended())
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        ended.cancel()
        if not stopped.done():
            raise processes.failure(ended.result())
