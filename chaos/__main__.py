"""``python -m chaos``: break everything, one thing after another, and count (``make chaos``)."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console

from chaos.report import page, summary, table
from chaos.run import Outcome, run
from chaos.scenarios import SCENARIOS
from shared.command import clear_errors

_BEGIN, _END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


@click.command(help="Break a running cascade in every way we know, and check its promises.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this scenario; may be repeated.")
@click.option("--seed", default=1, show_default=True, help="Of texts and of faults on links.")
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
def main(only: tuple[str, ...], seed: int, share: float, out: Path, write: Path | None) -> None:
    """Run the scenarios; exit 1 when a promise was broken."""
    console = Console()
    unknown = set(only) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        known = ", ".join(scenario.name for scenario in SCENARIOS)
        raise click.BadParameter(f"no scenario is called {', '.join(unknown)}; known: {known}")
    chosen = [scenario for scenario in SCENARIOS if not only or scenario.name in only]
    shutil.rmtree(out, ignore_errors=True)
    outcomes: list[Outcome] = []
    with clear_errors():
        for number, scenario in enumerate(chosen, 1):
            folder = out / scenario.name
            folder.mkdir(parents=True)
            with console.status(f"{number}/{len(chosen)} {scenario.name}: {scenario.says}"):
                outcome = asyncio.run(run(scenario, folder, seed, share=share))
            outcomes.append(outcome)
            _say(console, outcome)
    console.print(table(outcomes))
    report = [outcome.row() for outcome in outcomes]
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if write is not None:
        _replace(write, page(outcomes))
    console.print(f"Logs, configurations and report.json: {out}")
    sys.exit(1 if any(outcome.broken for outcome in outcomes) else 0)


def _say(console: Console, outcome: Outcome) -> None:
    console.print(f"{outcome.name}: {summary([outcome])}")
    for broken in outcome.broken[:5]:
        console.print(f"  {broken}", style="red", markup=False)


def _replace(path: Path, text: str) -> None:
    """Put the run's table between the page's marks."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise click.ClickException(f"{path} has no lines {_BEGIN} and {_END}")
    path.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
