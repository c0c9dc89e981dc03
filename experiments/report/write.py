"""Writes the report of a run into its folder, and prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.markup import escape

from experiments.grid import print_grid
from experiments.plots.style import styled
from experiments.report.figures import draw_run
from experiments.report.page import write_page
from experiments.report.run import read_played
from experiments.report.summary import summarise
from experiments.report.words import cards, grids, subtitle, title, warnings
from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

JSON: Final = "report.json"
PAGE: Final = "report.html"


def write_report(folder: Path) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html`` into the folder of a run; return the figures.

    Without matplotlib the page has no pictures and says so. Raises ``DataError``.
    """
    played = read_played(folder)
    report = summarise(played)
    write_json(folder / JSON, report)
    said = warnings(report)
    try:
        with styled():
            pictures = draw_run(played, report)
    except RuntimeUnavailable as error:
        pictures = []
        said.append(f"No pictures: {error}")
    page = write_page(
        title(report),
        subtitle(report),
        cards=cards(report),
        warnings=said,
        grids=grids(report),
        pictures=pictures,
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    return report


def write_json(path: Path, figures: dict[str, Any]) -> None:
    """Write figures so that people can read them, too."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print what a person wants to know first."""
    console.print(f"[bold]{escape(title(report))}[/]: {escape(subtitle(report))}")
    console.print(", ".join(f"{card.value} {card.what}" for card in cards(report)) + ".")
    for warning in warnings(report):
        console.print(f"[bold red]![/] {escape(warning)}")
    for grid in grids(report):
        print_grid(console, grid)
