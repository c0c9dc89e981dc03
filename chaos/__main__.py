"""``python -m chaos``: break everything, one thing after another, and count (``make chaos``)."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

from chaos.marks import replace
from chaos.report import page, summary, table
from chaos.run import Outcome, run
from chaos.scenarios import MIXED, SCENARIOS, SHORT, SHORT_SHARE
from shared.cli import clear_errors
from shared.telemetry.log import LogSettings, configure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.trial import ChaosScenario

_SHOWN = 5


@click.command(help="Break a running cascade in every way we know, and check its promises.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this scenario; may be repeated.")
@click.option("--short", is_flag=True, help="A few scenarios, half as long: a minute and a half.")
@click.option(
    "--mixed", is_flag=True, help="What is short or slow, with questions of all three tasks."
)
@click.option("--seed", default=1, show_default=True, help="Of texts, blows and faults on links.")
@click.option("--share", default=1.0, show_default=True, help="Of every scenario's time.")
@click.option(
    "--out",
    default="runs/chaos",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for configurations, states, logs and the report.",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Page whose table is to be replaced by this run's.",
)
def main(
    only: tuple[str, ...],
    short: bool,
    mixed: bool,
    seed: int,
    share: float,
    out: Path,
    write: Path | None,
) -> None:
    """Run the scenarios; exit 1 when a promise was broken."""
    chosen = _choose(MIXED if mixed else SCENARIOS, only or (SHORT if short else ()))
    configure(LogSettings(level="error"))
    console = Console()
    shutil.rmtree(out, ignore_errors=True)
    with clear_errors():
        share = share * SHORT_SHARE if short else share
        outcomes = _run_all(console, chosen, out, seed, share)
    console.print(table(outcomes, console.width))
    report = [outcome.row() for outcome in outcomes]
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if write is not None:
        replace(write, "mixed" if mixed else "chaos", page(outcomes, seed, explained=not mixed))
    console.print(f"Logs, configurations and report.json: {out}")
    sys.exit(1 if any(outcome.broken for outcome in outcomes) else 0)


def _choose(among: Sequence[ChaosScenario], names: tuple[str, ...]) -> list[ChaosScenario]:
    """Return the scenarios of these names, or all."""
    known = [scenario.name for scenario in among]
    if unknown := sorted(set(names) - set(known)):
        raise click.BadParameter(
            f"no scenario is called {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return [scenario for scenario in among if not names or scenario.name in names]


def _run_all(
    console: Console, chosen: list[ChaosScenario], out: Path, seed: int, share: float
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for number, scenario in enumerate(chosen, 1):
        folder = out / scenario.name
        folder.mkdir(parents=True)
        with console.status(f"{number}/{len(chosen)} {scenario.name}: {scenario.says}"):
            outcomes.append(asyncio.run(run(scenario, folder, seed, share=share)))
        _say(console, outcomes[-1])
    return outcomes


def _say(console: Console, outcome: Outcome) -> None:
    if outcome.skipped:
        console.print(f"{outcome.name}: skipped; {outcome.skipped}", style="yellow")
        return
    console.print(f"{outcome.name}: {summary([outcome])}")
    for broken in outcome.broken[:_SHOWN]:
        console.print(f"  {broken}", style="red", markup=False)


if __name__ == "__main__":
    main()
