"""``recserve up``: a broker and any number of agents on this machine, from one YAML file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from experiments.testbed.processes import UpSettings, read_agents, running
from shared.agent.run import until_asked_to_stop
from shared.bus.mqtt.settings import MqttSettings
from shared.cli import clear_errors
from shared.settings.address import Address
from shared.settings.file import load
from shared.telemetry import log
from shared.telemetry.log import LogSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from experiments.testbed.processes import Agent
    from shared.agent.settings import AgentSettings

_LEVEL: Final = "RECSERVE_LOG__LEVEL"


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
        asyncio.run(_run(load(UpSettings, config), Path(config).name))


async def _run(up: UpSettings, name: str) -> None:
    click.echo(f"starting a broker and {len(up.agents)} agents ...", err=True)
    agents = read_agents(up, overrides={} if _LEVEL in os.environ else {"log.level": "warning"})
    async with running(up.broker, agents) as processes:
        for line in _welcome(up, agents, name):
            click.echo(line, err=True)
        stopped = asyncio.create_task(until_asked_to_stop())
        ended = asyncio.create_task(processes.first_ended())
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        ended.cancel()
        if not stopped.done():
            raise processes.failure(ended.result())


def _welcome(up: UpSettings, agents: Sequence[Agent], name: str) -> Iterator[str]:
    """Say who runs and what to type; what comes after it are warnings only."""
    width = max(len(agent.settings.agent) for agent in agents)
    for agent in agents:
        model = agent.settings.model.model or Path(agent.settings.model.source).name
        yield f"  {agent.settings.agent:<{width}}  {agent.settings.tier.name}, {model}"
    where = Address(up.broker.host, up.broker.port)
    yield f"{name} is up on {where}; the broker's log: {Path(up.broker.data_dir) / 'log'}"
    devices = [agent.settings for agent in agents if agent.role == "device"]
    if devices:
        yield f'try: recserve ask {_flags(devices[0])}"what a lovely pump"'


def _flags(device: AgentSettings) -> str:
    """Return what ``recserve ask`` has to be told to reach a device, and does not take as given."""
    usual = MqttSettings()
    flags = {
        "host": (device.mqtt.host, usual.host),
        "port": (device.mqtt.port, usual.port),
        "root": (device.mqtt.root, usual.root),
        "device": (device.agent, "device-1"),
    }
    return "".join(f"--{flag} {is_} " for flag, (is_, taken) in flags.items() if is_ != taken)
