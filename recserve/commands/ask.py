"""``recserve ask``: put one prompt to a running device and show what became of it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.testbed.client import DeviceClient
from shared.bus.mqtt.settings import MqttSettings
from shared.cli import clear_errors
from shared.errors import InvalidPrompt, SettingsError
from shared.messages import Provenance
from shared.settings.file import convert, load
from shared.tasks import TASKS, Task, check, from_json, to_line
from shared.tasks.generate import Certainty
from shared.telemetry import log

if TYPE_CHECKING:
    from experiments.testbed.client import Answer


@click.command("ask", help="Ask a running device and print its answer with its hops.")
@click.argument("text")
@click.option("--device", default="device-1", show_default=True, help="Name of the device.")
@click.option(
    "--task",
    type=click.Choice(TASKS),
    default="classify",
    show_default=True,
    help="Kind of answer wanted.",
)
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="How the task's answer is wanted, the value as YAML; see docs/tasks.md.",
)
@click.option(
    "--config",
    "-c",
    type=click.Path(dir_okay=False),
    help="YAML file with the broker under mqtt, as recserve provision writes it.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Broker.")
@click.option("--port", default=1883, show_default=True, help="Its TCP port.")
@click.option("--root", default="recserve", show_default=True, help="First level of the topics.")
@click.option("--timeout-s", default=30.0, show_default=True, help="Time for the answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as it came.")
def command(
    text: str,
    device: str,
    task: Task,
    options: tuple[str, ...],
    config: str | None,
    host: str,
    port: int,
    root: str,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Exit with 1 when the answer is an error, 2 when there is none."""
    with clear_errors():
        log.silence()
        mqtt = _broker(config, {"host": host, "port": port, "root": root})
        wanted = _read_options(task, options)
        answer = asyncio.run(_ask(mqtt, device, text, task, wanted, timeout_s))
    if answer is None:
        where = mqtt.brokers[0]
        click.echo(f"error: {device} did not answer; is it running on {where}?", err=True)
        sys.exit(2)
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        _show(answer, task)
    sys.exit(1 if "error" in answer else 0)


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks, and the broker to ask over."""

    agent: str = ""
    mqtt: MqttSettings = MqttSettings()


def _broker(config: str | None, flags: dict[str, Any]) -> MqttSettings:
    """Return the broker of a file, or of the flags where no file is named."""
    if config:
        return load(ClientSettings, config).mqtt
    return convert(MqttSettings, flags, "recserve ask")


async def _ask(
    mqtt: MqttSettings,
    device: str,
    text: str,
    task: Task,
    options: dict[str, Any],
    timeout_s: float,
) -> Answer | None:
    async with DeviceClient.open(mqtt, [device]) as client:
        return await client.ask(device, text, task=task, options=options, timeout_s=timeout_s)


def _read_options(task: Task, given: tuple[str, ...]) -> dict[str, Any]:
    """Return the options of the flags. Raises ``SettingsError``."""
    options: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise SettingsError(f"--option {each!r} is not NAME=VALUE")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(f"--option {name}: its value is no YAML: {error}") from error
    try:
        check(task, options)
    except InvalidPrompt as error:
        raise SettingsError(f"--option: {error}") from error
    return options


def _show(answer: Answer, task: Task) -> None:
    console, degraded = Console(), answer.get("degraded")
    if "error" in answer:
        console.print(
            f"[bold red]{answer['error']}[/]: {escape(answer['reason'])}", highlight=False
        )
    else:
        console.print(
            f"[bold]{escape(to_line(from_json(task, answer)))}[/] from {answer['agent']}, "
            f"{_how_sure(answer)}{answer['elapsed_ms']:.1f} ms"
            + (f" ({degraded})" if degraded else "")
        )
        if "source" in answer:
            console.print(f"from {escape(str(_source(answer['source'])))}", highlight=False)
    if not answer["hops"]:
        return
    table = Table()
    table.add_column("tier")
    table.add_column("agent")
    table.add_column("goes by")
    for column in ("confidence", "threshold", "elapsed ms"):
        table.add_column(column, justify="right")
    for hop in answer["hops"]:
        table.add_row(
            hop["tier"],
            hop["agent"],
            hop.get("confidence_kind", "–"),
            f"{hop['confidence']:.4f}",
            f"{hop['threshold']:.4f}",
            f"{hop['elapsed_ms']:.1f}",
        )
    console.print(table)


def _source(source: dict[str, Any]) -> Provenance | str:
    """Return who gave an answer; what a newer device says of that as it is."""
    try:
        return msgspec.convert(source, Provenance)
    except msgspec.ValidationError:
        return str(source)


def _how_sure(answer: Answer) -> str:
    """Say how likely right the model calls its answer, if that is what its confidence is."""
    sure = f"{answer['confidence']:.0%}"
    kind = answer.get("confidence_kind")
    if kind in get_args(Certainty):
        return f"confidence {answer['confidence']:.3f} ({kind}), "
    if kind == "remembered":
        return f"{sure} likely right, as far as the memory knows, "
    if kind == "unknown":
        return "nobody knows how sure, "
    if kind == "agreement":
        return f"{sure} likely what the tier above would say, "
    return f"{sure} sure, "
