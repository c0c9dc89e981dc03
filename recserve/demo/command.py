"""``recserve demo``: the whole cascade on this machine, on the bundled prompts, in one command."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from experiments.datasets.bundled import read_prompts
from experiments.testbed.processes import (
    UpSettings,
    on_free_ports,
    read_agents,
    running,
)
from recserve.demo.alone import ask_alone
from recserve.demo.published import as_published
from recserve.demo.report import build_report
from recserve.demo.table import print_report
from recserve.demo.watched import (
    beta_of,
    burden_of,
    one_of_each_tier,
    say_who_starts,
    stream_watched,
)
from shared.cli import clear_errors
from shared.settings.file import load
from shared.telemetry import log
from shared.telemetry.log import LogSettings
from shared.wire.topics import Topics

_CONFIG = Path(__file__).parents[2] / "configs" / "up.yaml"


@click.command("demo", help="Run the whole cascade on this machine on the bundled prompts.")
@click.option(
    "--config", default=str(_CONFIG), help="YAML file that lists the agents.", show_default=False
)
@click.option("--out", default="runs/demo", show_default=True, help="Folder for report and logs.")
@click.option("--in-flight", default=4, show_default=True, help="Prompts under way per device.")
@click.option("--timeout-s", default=30.0, show_default=True, help="Time for each prompt.")
@click.option(
    "--broker",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "mosquitto", "embedded"]),
    help="auto: Mosquitto if it is installed, else the embedded broker.",
)
def command(config: str, out: str, in_flight: int, timeout_s: float, broker: str) -> None:
    """Exit with 1 when a prompt got no result, or two, or an error."""
    console = Console()
    with clear_errors():
        log.configure(LogSettings(level="error"))
        up = load(UpSettings, config, flags=[f"broker.kind={broker}"])
        folder = Path(out)
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        report = asyncio.run(_run(up, folder, console, in_flight=in_flight, timeout_s=timeout_s))
    file = folder / "report.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    print_report(console, report)
    console.print(f"The same as JSON: {file}; logs of every process: {folder / 'logs'}")
    whole = report["results"] == report["prompts"]
    sys.exit(0 if whole and not report["duplicates"] and not report["errors"] else 1)


async def _run(
    up: UpSettings, folder: Path, console: Console, *, in_flight: int, timeout_s: float
) -> dict[str, Any]:
    """Start everything on free ports, stream the prompts, stop everything, report."""
    prompts = read_prompts()
    up = on_free_ports(up, folder / "broker")
    agents = read_agents(up, overrides={"log.format": "json"})
    say_who_starts(up, agents, console)
    async with running(up.broker, agents, folder / "logs"):
        texts = [prompt.text for prompt in prompts]
        answered = await stream_watched(
            texts, agents, console, in_flight=in_flight, timeout_s=timeout_s
        )
        burden = burden_of(agents)
    tiers = one_of_each_tier(agents)
    console.print("Asking each model alone, for comparison ...")
    topics = Topics(agents[0].settings.mqtt.root)
    alone = ask_alone(tiers, prompts)
    return build_report(
        prompts,
        answered,
        beta={agent.settings.tier.name: beta_of(agent) for agent in tiers},
        alone=alone,
        published=as_published(alone, [agent.settings.tier.policy for agent in tiers], topics),
        burden=burden,
        topics=topics,
    )
