"""``recserve nodes``: the fleet as a table, read from retained messages alone."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cloud_agent.center.events import EventLog
from cloud_agent.center.registry.listener import FleetListener
from cloud_agent.center.registry.members import Registry
from recserve.commands.ask import ClientSettings
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.cli import clear_errors
from shared.settings.file import convert, load
from shared.telemetry import log
from shared.wire.topics import Topics

_LEASE_S: Final = 10.0
_GIB: Final = 1 << 30


@click.command("nodes", help="Show every agent of the fleet: what it is, and whether it lives.")
@click.option(
    "--config",
    "-c",
    type=click.Path(dir_okay=False),
    help="YAML file with the broker under mqtt: the operator's, as recserve provision writes it.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Broker.")
@click.option("--port", default=1883, show_default=True, help="Its TCP port.")
@click.option("--root", default="recserve", show_default=True, help="First level of the topics.")
@click.option(
    "--listen-s",
    default=6.0,
    show_default=True,
    help="Time to listen: an agent that says nothing meanwhile is suspect.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    config: str | None, host: str, port: int, root: str, listen_s: float, as_json: bool
) -> None:
    """Listen for a while, then print what is known."""
    with clear_errors():
        log.silence()
        if config:
            mqtt = load(ClientSettings, config).mqtt
        else:
            mqtt = convert(
                MqttSettings, {"host": host, "port": port, "root": root}, "recserve nodes"
            )
        registry = asyncio.run(_listen(mqtt, listen_s))
    if as_json:
        for member in registry:
            click.echo(msgspec.json.encode(member.told()))
        return
    Console().print(_table(registry) if len(registry) else "no agents")


async def _listen(mqtt: MqttSettings, listen_s: float) -> Registry:
    registry = Registry(_LEASE_S)
    bus = MqttBus(mqtt, mqtt.username or f"recserve-nodes-{os.getpid()}")
    await bus.start()
    try:
        await bus.wait_connected(mqtt.connect_timeout_s)
        listener = FleetListener(bus, Topics(mqtt.root), registry, EventLog(1))
        await listener.start(kinds=("report", "state"))
        await asyncio.sleep(listen_s)
        registry.age(time.monotonic())
    finally:
        await bus.close()
    return registry


def _table(registry: Registry) -> Table:
    table = Table("agent", "tier", "life", "model", "machine")
    for heading in ("cores", "GiB", "free GiB"):
        table.add_column(heading, justify="right")
    colours = {"alive": "green", "suspect": "yellow", "dead": "red"}
    for member in registry:
        status, report = member.status, member.report
        colour = colours[member.life]
        model = f"{status.model} {status.bundle}".strip() if status else ""
        row = [member.name, member.tier, f"[{colour}]{member.life}[/]", escape(model)]
        if report is None:
            table.add_row(*row)
            continue
        machine = " + ".join((report.processor or report.machine, *report.accelerators))
        row += [escape(machine), str(report.cores)]
        sizes = (report.memory_bytes, report.disk_free_bytes)
        table.add_row(*row, *(f"{size / _GIB:.1f}" for size in sizes))
    return table
