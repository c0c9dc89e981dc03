"""``recserve replay``: play a trace to devices as it was recorded, and report what became of it."""

from __future__ import annotations

import asyncio
import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
import msgspec
from rich.console import Console

from experiments.replay.environment import open_place
from experiments.replay.run import play
from experiments.replay.run_file import RunFile, read_run, set_aside, write_run
from experiments.replay.schedule import ScheduledRequest, fingerprint, make_plays
from experiments.replay.settings import ReplaySettings
from experiments.replay.workload import absolute, read_arrivals
from experiments.report.write import JSON, PAGE, print_report, write_report
from experiments.testbed.fleet import names_like
from shared.cli import clear_errors
from shared.errors import DataError, SettingsError
from shared.settings.address import read_address
from shared.settings.file import convert, load
from shared.telemetry import log
from shared.telemetry.log import LogSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

_EMPTY = Path(__file__).with_name("replay.yaml")
_PACKAGES = ("recserve", "onnxruntime", "paho-mqtt", "msgspec")
_KEYS = {
    "trace": "trace.file",
    "format_": "trace.format",
    "texts": "trace.texts",
    "speed": "part.speed",
    "begin_s": "part.begin_s",
    "end_s": "part.end_s",
    "prompts": "part.prompts",
    "devices": "fleet.devices",
    "device_config": "fleet.config",
    "agents": "agents",
    "keep_text": "keep_text",
    "name": "name",
}


@click.command("replay", help="Play a trace of prompts to devices and report what became of it.")
@click.argument("config", required=False, type=click.Path(dir_okay=False))
@click.option("--trace", metavar="FILE", help="The trace.")
@click.option("--format", "format_", metavar="NAME", help="Its format, if it does not show.")
@click.option("--texts", metavar="FILE", help="Prompt set for a trace without texts.")
@click.option("--speed", type=float, help="Seconds of the trace that pass in one second.")
@click.option("--begin-s", type=float, help="First second of the trace to play.")
@click.option("--end-s", type=float, help="Second of the trace at which to stop.")
@click.option("--prompts", type=int, help="At most so many prompts.")
@click.option("--in-flight", type=int, help="Closed loop with so many prompts under way.")
@click.option("--devices", type=int, help="Virtual devices.")
@click.option("--ask", metavar="NAME,...", help="Ask these running devices instead.")
@click.option("--device-config", metavar="FILE", help="Settings of the virtual devices.")
@click.option("--agents", metavar="FILE", help="Agents to start, as for recserve up.")
@click.option("--broker", metavar="HOST:PORT", help="Start nothing; use what runs around it.")
@click.option("--keep-text", is_flag=True, default=None, help="Write texts into the records.")
@click.option("--name", help="Name of the run.")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Overrides one setting of the file."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the run.")
@click.option(
    "--resume",
    type=click.Path(file_okay=False, path_type=Path),
    help="Go on with the run of this folder.",
)
def command(
    config: str | None, sets: tuple[str, ...], out: Path | None, resume: Path | None, **flags: Any
) -> None:
    """Exit with 1 when a prompt was lost, 130 when somebody stopped the run."""
    console = Console()
    with clear_errors():
        log.configure(LogSettings(level="error"))
        if resume:
            if config or sets or out or any(value is not None for value in flags.values()):
                raise SettingsError("--resume goes on as the run began; give it no other option")
            settings = convert(ReplaySettings, read_run(resume).settings, f"{resume}/run.json")
        else:
            settings = _settings(config, flags, sets)
        folder = resume or out or new_folder(settings.name)
        run = _run(settings, folder, console, resumed=resume is not None)
        report = write_report(folder)
    print_report(console, report)
    console.print(f"Report: {folder / PAGE}, {folder / JSON}; every prompt: records.jsonl beside")
    if run.state == "interrupted":
        console.print(f"Go on with it: recserve replay --resume {folder}")
        sys.exit(130)
    sys.exit(1 if report["prompts"]["lost"] else 0)


def _settings(config: str | None, flags: dict[str, Any], sets: Sequence[str]) -> ReplaySettings:
    """Take settings from a file, if there is one, then from flags."""
    assignments = [f"{key}={msgspec.json.encode(v).decode()}" for key, v in _keys(flags).items()]
    if config is None and not flags["trace"]:
        raise SettingsError("name a file of settings, or at least --trace")
    return load(ReplaySettings, config or _EMPTY, flags=[*assignments, *sets])


def _keys(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags that were given by the keys of the settings that they stand for."""
    keys = {_KEYS[flag]: value for flag, value in flags.items() if flag in _KEYS}
    if flags["in_flight"] is not None:
        keys |= {"pace.kind": "closed", "pace.in_flight": flags["in_flight"]}
    if flags["ask"]:
        keys["fleet.ask"] = flags["ask"].split(",")
    if flags["broker"]:
        host, port = read_address(flags["broker"])
        keys |= {"mqtt.host": host, "mqtt.port": port}
    for key in ("trace.file", "trace.texts", "fleet.config", "agents"):
        if keys.get(key):
            keys[key] = absolute(keys[key])  # a resumed run may start elsewhere
    return {key: value for key, value in keys.items() if value is not None}


def new_folder(name: str) -> Path:
    """Return a folder that no run has yet."""
    folder, number = Path("runs") / name, 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    return folder


def _run(settings: ReplaySettings, folder: Path, console: Console, *, resumed: bool) -> RunFile:
    """Play a run, or the rest of it; its file says afterwards what it came to."""
    fleet = settings.fleet
    names = fleet.ask or names_like(fleet.name, fleet.devices)
    arrivals = read_arrivals(settings.trace)
    plays, silence_s = make_plays(arrivals.each, settings.part, names)
    arrivals.say(console, silence_s)
    if resumed:
        run = _again(read_run(folder), plays, folder)
    else:
        run = _new_run(settings, plays, len(names))
        if aside := set_aside(folder):
            console.print(f"The run that was in {folder} is in {aside} now")
    return asyncio.run(_play(settings, names, plays, run, folder, console))


async def _play(
    settings: ReplaySettings,
    names: Sequence[str],
    plays: Sequence[ScheduledRequest],
    run: RunFile,
    folder: Path,
    console: Console,
) -> RunFile:
    length_s = plays[-1].at_s
    long = f" in {length_s:,.0f} s" if settings.pace.kind == "open" else ""
    console.print(f"{run.name}: {len(plays):,} prompts{long} to {len(names)} devices; starting ...")
    async with open_place(settings, folder) as place:
        run = msgspec.structs.replace(run, tiers=place.tiers)
        run = await play(settings, place, names, plays, run, folder, console)
        write_run(folder, run)
    return run


def _new_run(settings: ReplaySettings, plays: Sequence[ScheduledRequest], devices: int) -> RunFile:
    return RunFile(
        name=settings.name,
        id=uuid4().hex,
        begun=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        pace=settings.pace.kind,
        in_flight=settings.pace.in_flight,
        speed=settings.part.speed,
        devices=devices,
        tiers=(),
        prompts=len(plays),
        length_s=plays[-1].at_s,
        fingerprint=fingerprint(plays),
        settings=msgspec.to_builtins(settings),
        versions={name: version(name) for name in _PACKAGES}
        | {"python": platform.python_version(), "machine": platform.machine()},
    )


def _again(run: RunFile, plays: Sequence[ScheduledRequest], folder: Path) -> RunFile:
    """Return the file of a run that goes on; its trace has to be what it was."""
    if fingerprint(plays) != run.fingerprint:
        raise DataError(
            f"{folder}: its trace or prompt set is not what it was when the run began; "
            "begin a new run"
        )
    if run.state == "whole":
        raise DataError(f"{folder}: this run is whole; there is nothing to go on with")
    return msgspec.structs.replace(run, state="running", resumed=run.resumed + 1)
