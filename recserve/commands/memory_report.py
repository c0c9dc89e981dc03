"""``recserve memory report``: what an edge that remembers did, day by day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from rich.console import Console

from edge_agent.memory.requests import ReportDays
from experiments.grid import print_grid
from experiments.replay.records import read_records
from experiments.report.memory_days import accuracy_grid, day_grids, day_page, draw_days
from recserve.memory_client import Place, ask_memory, place_options
from shared.cli import clear_errors
from shared.errors import RuntimeUnavailable, SettingsError
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

_MILLION: Final = 1e6


@click.command("report", help="What was asked and answered day by day, and what it cost.")
@click.argument("where")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 400))
@click.option(
    "--records",
    type=click.Path(path_type=Path),
    help="A replay's folder: its answers are graded by who gave them.",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page, too.")
@click.option(
    "--cloud-price",
    type=(float, float),
    default=(0.27, 1.10),
    show_default=True,
    help="Of a million tokens read and written above.",
)
@click.option(
    "--edge-price",
    type=(float, float),
    default=(0.02, 0.02),
    show_default=True,
    help="The same of the edge's own model.",
)
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def report(
    where: str,
    days: int,
    records: Path | None,
    html: Path | None,
    cloud_price: tuple[float, float],
    edge_price: tuple[float, float],
    as_json: bool,
    **place: Any,
) -> None:
    """Print a table, or JSON, and write a page."""
    with clear_errors():
        found = ask_memory(where, ReportDays(days), Place(**place))["days"]
        for day in found:
            day["cost"] = _cost(day["tokens"], cloud_price, edge_price)
        graded = _graded(records) if records else {}
        if html:
            _write(html, Path(where).name, found, graded)
    if as_json:
        click.echo(msgspec.json.encode({"days": found} | ({"right": graded} if graded else {})))
        return
    console = Console()
    if not found:
        console.print("nothing was asked yet")
        return
    for grid in (*day_grids(found), *([accuracy_grid(graded)] if graded else ())):
        print_grid(console, grid)


def _cost(
    tokens: Mapping[str, int], cloud: tuple[float, float], edge: tuple[float, float]
) -> float:
    above = tokens["above.read"] * cloud[0] + tokens["above.written"] * cloud[1]
    own = tokens["own.read"] * edge[0] + tokens["own.written"] * edge[1]
    return round((above + own) / _MILLION, 8)


def _graded(records: Path) -> dict[str, tuple[int, int]]:
    """Return right answers and all, by who gave them, of those whose right answer is known."""
    graded: dict[str, tuple[int, int]] = {}
    for record in read_records(records):
        if record.score is None or not record.hops:
            continue
        last = record.hops[-1]
        way = last.source.way if last.source is not None else "model"
        if way == "model":
            way = last.tier  # type: ignore[assignment] # a tier's own model
        right, count = graded.get(way, (0, 0))
        graded[way] = (right + (record.score >= 1.0), count + 1)
    return graded


def _write(
    html: Path, where: str, days: list[dict[str, Any]], graded: dict[str, tuple[int, int]]
) -> None:
    try:
        pictures = draw_days(days)
    except ImportError as error:
        raise RuntimeUnavailable(
            "the page has pictures, which need matplotlib; in the folder of this project: "
            'pip install -e ".[report]"'
        ) from error
    try:
        write_atomically(html, day_page(where, days, pictures, graded).encode())
    except OSError as error:
        raise SettingsError(f"{html}: cannot be written ({error.strerror})") from error
