"""``recserve broker``: become the broker, Mosquitto if it is installed."""

from __future__ import annotations

import os

import click

from broker.secured import broker_folder, listening_port
from broker.start import EVERYWHERE, BrokerSettings, choose
from broker.start import command as command_line
from shared.cli import clear_errors
from shared.settings.address import Address
from shared.settings.file import convert


@click.command("broker", help="Run an MQTT broker until SIGTERM or Ctrl-C.")
@click.option(
    "--port", type=int, help="TCP port to listen on.  [default: 1883; secured: the site's]"
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1; secured: every one]")
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
@click.option(
    "--provisioned", default="", metavar="DIR", help="Secure it with what `provision` made."
)
@click.option(
    "--plain-on-network", is_flag=True, help="Let everybody read and write everything, anywhere."
)
def command(
    port: int | None,
    host: str | None,
    kind: str,
    data_dir: str,
    provisioned: str,
    plain_on_network: bool,
) -> None:
    """Replace this process by the broker, so that signals reach it directly."""
    with clear_errors():
        secured = listening_port(broker_folder(provisioned)) if provisioned else None
        tree = {
            "host": host or ("127.0.0.1" if secured is None else EVERYWHERE),
            "port": (secured or 1883) if port is None else port,
            "kind": kind,
            "data_dir": data_dir,
            "provisioned": provisioned,
            "plain_on_network": plain_on_network,
        }
        settings = convert(BrokerSettings, tree, "recserve broker")
        line = command_line(settings)
        name = (
            "Mosquitto" if choose(settings.kind) == "mosquitto" else "the embedded broker (amqtt)"
        )
        click.echo(f"{name} on {Address(settings.host, settings.port)}", err=True)
        os.execv(line[0], line)  # noqa: S606 - our own command line
