"""``recserve plan``: an installation in simulated time, before the hardware is there."""

from __future__ import annotations

import platform
import sys
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from experiments.grid import print_grid
from experiments.replay import records, samples, saturation
from experiments.replay.run_file import RunFile, make_folder, set_aside, write_run
from experiments.replay.schedule import fingerprint, make_plays
from experiments.replay.workload import read_arrivals
from experiments.report.write import JSON, PAGE, print_report, write_json, write_report
from experiments.simulator.capacity import Goal, find_fewest, sum_up
from experiments.simulator.load import make_plan, read_tiers, with_agents, with_counts
from experiments.simulator.settings import PlanSettings
from experiments.simulator.simulate import simulate
from experiments.simulator.tables import busy_grid, tried_grid, verdict
from experiments.testbed.fleet import names_like
from recserve.commands.replay import new_folder
from shared.cli import clear_errors
from shared.json_lines import appending
from shared.settings.file import load
from shared.telemetry import log
from shared.telemetry.log import LogSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.replay.schedule import ScheduledRequest
    from experiments.simulator.capacity import Found, Tried
    from experiments.simulator.scenario import Scenario
    from experiments.simulator.settings import GoalSettings
    from experiments.simulator.simulate import Simulated
    from shared.agent.settings import AgentSettings

PLAN: Final = "plan.json"


@click.command(
    "plan", help="Simulate an installation on a trace, or find how many agents it needs."
)
@click.argument("config", type=click.Path(dir_okay=False))
@click.option("--trace", metavar="FILE", help="The trace.")
@click.option("--devices", type=click.IntRange(min=1), help="How many devices.")
@click.option("--find", metavar="TIER,...", help="Find how many agents these tiers need.")
@click.option("--p99-ms", type=float, help="The 99th percentile of latency to reach with them.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Overrides one setting.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to.")
def command(config: str, sets: tuple[str, ...], out: Path | None, **flags: Any) -> None:
    """Write records and a report as a replay does; exit with 1 when a goal cannot be reached."""
    console = Console()
    found: Found | None = None
    with clear_errors():
        log.configure(LogSettings(level="error"))
        plan = _with_devices(
            load(PlanSettings, config, flags=[*_assignments(flags), *sets]), flags["devices"]
        )
        folder = out or new_folder(plan.name)
        tiers = read_tiers(plan)
        plays = _plays(plan, tiers, console)
        world = make_plan(plan, tiers, plays, console)
        if aside := set_aside(folder):
            console.print(f"The run that was in {folder} is in {aside} now")
        make_folder(folder)
        begun_s = time.perf_counter()
        if plan.goal is None:
            simulated = _simulate(plan, world, plays, console, "simulating")
        else:
            found, simulated = _find(plan, plan.goal, world, plays, console)
        took_s = time.perf_counter() - begun_s
        _write(folder, plan, world, plays, simulated)
        report = write_report(folder)
        write_json(folder / PLAN, _facts(plan, simulated, found, took_s))
    print_report(console, report)
    print_grid(console, busy_grid(simulated))
    if found is not None and plan.goal is not None:
        print_grid(console, tried_grid(found))
        console.print(verdict(plan.goal, found), highlight=False)
    console.print(f"{simulated.ended_s:,.0f} s of it were simulated here in {took_s:,.1f} s.")
    console.print(f"Report: {folder / PAGE}, {folder / JSON}; every prompt: records.jsonl beside")
    sys.exit(0 if found is None or found.reached else 1)


def _assignments(flags: Mapping[str, Any]) -> list[str]:
    keys = {"trace": "trace.file={}", "find": "goal.find=[{}]", "p99_ms": "goal.p99_ms={}"}
    return [keys[flag].format(flags[flag]) for flag in keys if flags[flag] is not None]


def _with_devices(plan: PlanSettings, devices: int | None) -> PlanSettings:
    return with_agents(plan, {0: devices}) if devices else plan


def _plays(
    plan: PlanSettings, tiers: Sequence[AgentSettings], console: Console
) -> list[ScheduledRequest]:
    arrivals = read_arrivals(plan.trace)
    names = names_like(tiers[0].tier.name, plan.tiers[0].agents)
    plays = make_plays(arrivals.each, plan.part, names)
    arrivals.say(console, plays.silence_s)
    return plays.each


def _simulate(
    plan: PlanSettings,
    world: Scenario,
    plays: Sequence[ScheduledRequest],
    console: Console,
    what: str,
) -> Simulated:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=len(plays))

        def watch(done: int) -> None:
            progress.update(task, completed=done)

        return simulate(
            world, plays, run=plan.name, timeout_s=plan.timeout_s, seed=plan.seed, watch=watch
        )


def _find(
    plan: PlanSettings,
    goal: GoalSettings,
    world: Scenario,
    plays: Sequence[ScheduledRequest],
    console: Console,
) -> tuple[Found, Simulated]:
    """Try numbers of agents; return what was tried, and what came of the last."""
    latest: Simulated

    def run(agents: Mapping[str, int]) -> Tried:
        nonlocal latest
        said = ", ".join(f"{count} {tier}" for tier, count in agents.items())
        latest = _simulate(plan, with_counts(world, agents), plays, console, said)
        return sum_up(agents, latest)

    found = find_fewest(goal.find, goal.at_most, Goal(goal.p99_ms, goal.worse_share), run)
    return found, latest


def _write(
    folder: Path,
    plan: PlanSettings,
    world: Scenario,
    plays: Sequence[ScheduledRequest],
    simulated: Simulated,
) -> None:
    """Write what a replay would have left behind."""
    run = RunFile(
        name=plan.name,
        id=plan.name,
        kind="plan",
        begun=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        pace="open",
        in_flight=0,
        speed=plan.part.speed,
        devices=plan.tiers[0].agents,
        tiers=tuple(tier.settings.tier.name for tier in world.tiers),
        prompts=len(plays),
        length_s=plays[-1].at_s,
        fingerprint=fingerprint(plays),
        settings=msgspec.to_builtins(plan),
        versions={"recserve": version("recserve"), "python": platform.python_version()},
        state="whole",
        played_s=round(simulated.ended_s, 3),
    )
    write_run(folder, run)
    for name, lines in (
        (records.FILE, simulated.records),
        (samples.FILE, simulated.samples),
        (saturation.FILE, simulated.ticks),
    ):
        encode = msgspec.json.Encoder().encode
        with appending(folder / name) as file:
            file.writelines(encode(line) + b"\n" for line in lines)


def _facts(
    plan: PlanSettings, simulated: Simulated, found: Found | None, took_s: float
) -> dict[str, Any]:
    return {
        "settings": msgspec.to_builtins(plan),
        "simulated_s": round(simulated.ended_s, 3),
        "took_s": round(took_s, 3),
        "agents": [used._asdict() for used in simulated.busy],
        "link_bytes": simulated.link_bytes,
        "search": None if found is None else [tried._asdict() for tried in found.tried],
        "reached": None if found is None else found.reached,
    }
