"""``recserve broker``: become the broker, Mosquitto if it is installed."""

from __future__ import annotations

import os

import click

from broker.start import BrokerSettings, choose
from broker.start import command as command_line
from shared.command import clear_errors
from shared.settings import convert


@click.command("broker", help="Run an MQTT broker on loopback until SIGTERM or Ctrl-C.")
@click.option("--port", default=1883, show_default=True, help="TCP port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address.")
@click.option(
    "--kind",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "mosquitto", "embedded"]),
    help="auto: Mosquitto if it is installed, else the embedded broker.",
)
@click.option(
    "--data-dir", default="./runs/broker", show_default=True, help="Folder for Mosquitto's files."
)
def command(port: int, host: str, kind: str, data_dir: str) -> None:
    """Replace this process by the broker, so that signals reach it directly."""
    with clear_errors():
        tree = {"kind": kind, "host": host, "port": port, "data_dir": data_dir}
        settings = convert(BrokerSettings, tree, "recserve broker")
        line = command_line(settings)
        name = (
            "Mosquitto" if choose(settings.kind) == "mosquitto" else "the embedded broker (amqtt)"
        )
        click.echo(f"{name} on {host}:{port}", err=True)
        os.execv(line[0], line)  # noqa: S606 - our own command line
