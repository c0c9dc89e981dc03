"""``recserve simulate``: what cannot be tried out on real machines, in simulated time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from experiments.grid import print_grid
from experiments.placement.acceptance import checks
from experiments.placement.pictures import draw_all
from experiments.placement.report import FILE
from experiments.placement.run import simulate
from experiments.placement.study import RATES
from experiments.placement.tables import grids, verdicts
from experiments.report.write import write_json
from shared.cli import clear_errors
from shared.errors import DataError


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
        report, study, middle = simulate(rates, console, **flags)
        write_json(out / FILE, report)
        drawn = draw_all(study, report, middle, out) if pictures else []
    for grid in grids(report):
        print_grid(console, grid)
    for line in verdicts(report):
        console.print(line, highlight=False)
    reached = [check.reached for check in checks(report)]
    console.print(f"{sum(reached)} of {len(reached)} things that were to be shown are shown.")
    console.print(
        f"Report: {out / FILE}" + (f"; pictures: {len(drawn)} beside it" if drawn else "")
    )


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the folder {out} cannot be made ({error.strerror})") from error
    return out
