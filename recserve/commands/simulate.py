"""``recserve simulate``: what cannot be tried out on real machines, in simulated time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.grid import print_grid
from experiments.placement.pictures import draw_all
from experiments.placement.pretraining import pretrain
from experiments.placement.report import FILE, make_report
from experiments.placement.study import MIDDLE, RATES, cases, run_study
from experiments.placement.tables import grids, verdicts
from experiments.placement.world import WorldSettings
from experiments.report.write import write_json
from shared.cli import clear_errors
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.placement.study import PlacementStudy

_TRAINED: Final = 3


@click.group("simulate", help="Simulate what cannot be tried out.")
def command() -> None:
    """Join the simulations."""


@command.command("placement", help="Compare policies that place prompts and models on a fleet.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder."
)
@click.option("--seeds", type=click.IntRange(min=2), default=12, show_default=True, help="Worlds.")
@click.option(
    "--rate",
    "rates",
    multiple=True,
    type=click.FloatRange(min=0.1),
    default=RATES,
    show_default=True,
    help="Jobs a round; may be repeated.",
)
@click.option("--rounds", type=click.IntRange(min=160), default=600, show_default=True)
@click.option(
    "--episodes",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="That a Q-network is taught for on one fleet.",
)
@click.option("--processes", type=click.IntRange(min=1), help="As many as processors if not given.")
@click.option(
    "--pictures/--no-pictures", default=True, show_default=True, help="Draw them as well."
)
def placement(out: Path, rates: tuple[float, ...], *, pictures: bool, **flags: Any) -> None:
    """Play every policy on the same worlds, and write what came of it."""
    console = Console()
    with clear_errors():
        out = _folder(out)
        found = simulate(rates, console, **flags)
        report, study, middle = found
        write_json(out / FILE, report)
        drawn = draw_all(study, report, middle, out) if pictures else []
    for grid in grids(report):
        print_grid(console, grid)
    for line in verdicts(report):
        console.print(line, highlight=False)
    console.print(
        f"Report: {out / FILE}" + (f"; pictures: {len(drawn)} beside it" if drawn else "")
    )


def simulate(
    rates: Sequence[float],
    console: Console,
    *,
    seeds: int,
    rounds: int,
    processes: int | None,
    episodes: int,
) -> tuple[dict[str, Any], PlacementStudy, float]:
    """Run the study with its progress on the terminal; return what it found."""
    middle = MIDDLE if MIDDLE in rates else rates[len(rates) // 2]
    chosen = range(seeds)
    total = len(cases(chosen, rates, rounds))
    trained = min(_TRAINED, seeds)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("episodes", total=total + trained * episodes)

        def watch(part: str) -> None:
            progress.update(task, advance=1, description=part)

        study = run_study(chosen, rates, rounds, processes or os.cpu_count() or 1, watch)
        worlds = WorldSettings(rounds=rounds, rate=middle)
        networks = [
            pretrain(worlds, episodes, seed, lambda: watch("teaching a network"))
            for seed in range(trained)
        ]
        progress.update(task, description="the trap")
        report = make_report(study, middle, networks)
    return report, study, middle


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the folder {out} cannot be made ({error.strerror})") from error
    return out
