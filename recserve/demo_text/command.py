"""``recserve demo-text``: captions translated through three tiers on this machine, then a chat."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console

from experiments.datasets.pairs import read_pairs
from experiments.datasets.source import Source
from experiments.testbed.processes import (
    AgentEntry,
    UpSettings,
    on_free_ports,
    read_agents,
    running,
)
from recserve.demo.watched import (
    beta_of,
    burden_of,
    one_of_each_tier,
    say_who_starts,
    stream_watched,
)
from recserve.demo_text.alone import ask_alone
from recserve.demo_text.chat import chat
from recserve.demo_text.report import build_report
from recserve.demo_text.smollm2 import ensure_packed
from recserve.demo_text.table import print_chat, print_report
from shared.cli import clear_errors
from shared.settings.file import load
from shared.telemetry import log
from shared.telemetry.log import LogSettings
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.datasets.pairs import PairSet
    from experiments.testbed.processes import Agent

_ROOT = Path(__file__).parents[2]
_CONFIG = _ROOT / "configs" / "demo-text" / "up.yaml"
_CHAT = _ROOT / "configs" / "demo-text" / "chat.yaml"
_SMOLLM2 = _ROOT / "runs" / "smollm2"
CAPTIONS = _ROOT / "experiments" / "datasets" / "captions.tsv"


@click.command(
    "demo-text", help="Translate captions through three tiers on this machine, then chat."
)
@click.option(
    "--config", default=str(_CONFIG), help="YAML file that lists the agents.", show_default=False
)
@click.option("--set", "place", help="TSV file of captions and translations; none: the bundled.")
@click.option(
    "--out", default="runs/demo-text", show_default=True, help="Folder for report and logs."
)
@click.option("--in-flight", default=4, show_default=True, help="Captions under way per device.")
@click.option("--timeout-s", default=30.0, show_default=True, help="Time for each caption.")
@click.option(
    "--chat/--no-chat", "chats", default=True, show_default=True, help="Ask SmolLM2 something, too."
)
@click.option(
    "--broker",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "mosquitto", "embedded"]),
    help="auto: Mosquitto if it is installed, else the embedded broker.",
)
def command(
    config: str,
    place: str | None,
    out: str,
    in_flight: int,
    timeout_s: float,
    chats: bool,
    broker: str,
) -> None:
    """Exit with 1 when a caption got no result, or two, or an error."""
    console = Console()
    with clear_errors():
        log.configure(LogSettings(level="error"))
        captions = read_pairs(Source(place=place or str(CAPTIONS), text="source", label="target"))
        chats = chats and ensure_packed(_SMOLLM2, console)
        up = load(UpSettings, config, flags=[f"broker.kind={broker}"])
        if chats:
            entry = AgentEntry(role="device", config=str(_CHAT))
            up = msgspec.structs.replace(up, agents=(*up.agents, entry))
        folder = Path(out)
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        report = asyncio.run(
            _run(up, captions, folder, console, in_flight=in_flight, timeout_s=timeout_s)
        )
    file = folder / "report.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    print_report(console, report)
    if report["chat"]:
        print_chat(console, report["chat"])
    console.print(f"The same as JSON: {file}; logs of every process: {folder / 'logs'}")
    whole = report["results"] == report["prompts"]
    sys.exit(0 if whole and not report["duplicates"] and not report["errors"] else 1)


async def _run(
    up: UpSettings,
    captions: PairSet,
    folder: Path,
    console: Console,
    *,
    in_flight: int,
    timeout_s: float,
) -> dict[str, Any]:
    """Start everything on free ports, stream the captions, chat, stop everything, report."""
    up = on_free_ports(up, folder / "broker")
    agents = read_agents(up, overrides={"log.format": "json"})
    talkers = [agent for agent in agents if agent.settings.agent.startswith("chat")]
    translators = [agent for agent in agents if agent not in talkers]
    say_who_starts(up, agents, console)
    async with running(up.broker, agents, folder / "logs"):
        answered = await stream_watched(
            captions.texts,
            translators,
            console,
            in_flight=in_flight,
            timeout_s=timeout_s,
            task="generate",
        )
        burden = burden_of(translators)
        turns = await _chat(talkers, console, timeout_s=max(timeout_s, 60.0))
    tiers = one_of_each_tier(translators)
    console.print("Asking each translator alone, for comparison ...")
    report = build_report(
        captions,
        answered,
        beta={agent.settings.tier.name: beta_of(agent) for agent in tiers},
        alone=ask_alone(tiers, captions),
        burden=burden,
        topics=Topics(translators[0].settings.mqtt.root),
    )
    return report | {"chat": turns}


async def _chat(
    talkers: Sequence[Agent], console: Console, *, timeout_s: float
) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for talker in talkers:
        console.print("Asking SmolLM2 a few questions ...")
        turns += await chat(talker.settings.agent, talker.settings.mqtt, timeout_s=timeout_s)
    return turns
