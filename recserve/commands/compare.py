"""``recserve compare``: two runs of ``recserve replay`` side by side, and what exceeds noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.markup import escape

from experiments.grid import print_grid
from experiments.plots.style import styled
from experiments.report.compared import as_json, draw_comparison, grid, method
from experiments.report.comparison import compare
from experiments.report.page import KeyFigure, write_page
from experiments.report.run import read_played
from experiments.report.write import write_json
from shared.cli import clear_errors
from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from experiments.report.comparison import Comparison
    from experiments.report.run import Played

JSON: Final = "compare.json"
PAGE: Final = "compare.html"


@click.command("compare", help="Two runs of recserve replay side by side.")
@click.argument("first", type=click.Path(file_okay=False, path_type=Path))
@click.argument("second", type=click.Path(file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to.")
def command(first: Path, second: Path, out: Path | None) -> None:
    """Print the table; write it as JSON and as a page."""
    console = Console()
    with clear_errors():
        runs = [read_played(first), read_played(second)]
        names = _names([first, second])
        comparison = compare(*runs)
        folder = out or Path("runs") / f"{names[0]}-and-{names[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / JSON, {"runs": [str(first), str(second)]} | as_json(comparison))
        (folder / PAGE).write_text(_page(comparison, runs, names), encoding="utf-8")
    print_grid(console, grid(comparison, names))
    console.print(escape(method(comparison)))
    console.print(f"The same as a page: {folder / PAGE}; as JSON: {folder / JSON}")


def _names(folders: list[Path]) -> list[str]:
    """Return what to call the runs: their folders, told apart."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else ["first", "second"]


def _page(comparison: Comparison, runs: list[Played], names: list[str]) -> str:
    warnings = []
    try:
        with styled():
            pictures = draw_comparison(comparison, runs, names)
    except RuntimeUnavailable as error:
        pictures = []
        warnings.append(f"No pictures: {error}")
    beyond = sum(bool(found.exceeds_noise) for found in comparison.differences)
    return write_page(
        f"{names[0]} and {names[1]}",
        method(comparison),
        cards=[
            KeyFigure(f"{beyond} of {len(comparison.differences)}", "figures differ beyond noise")
        ],
        warnings=warnings,
        grids=[grid(comparison, names)],
        pictures=pictures,
    )
