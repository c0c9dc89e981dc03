"""Hold the nights of a classifier and write their section of docs/nights.md.

What was done lies in the folder, and is not done again (``make nights-classify``).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click
import msgspec

from experiments.datasets.read import DATA_VARIABLE
from experiments.nights.classify.asked import KeptAnswers
from experiments.nights.classify.domains import Amounts, read_domains
from experiments.nights.classify.page import draw, put, section
from experiments.nights.classify.report import Rows, measure_nights
from experiments.nights.classify.study import ShiftStudy
from models.train.command import data_folder, prepare
from shared.cli import clear_errors

DOCS: Final = Path(__file__).parents[3] / "docs"


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help=f"Public sets; {DATA_VARIABLE}.")
@click.option("--orders", default=3, show_default=True, help="Orders of arrival.")
@click.option("--rows", type=click.Choice(["aside", "test"]), default="test", show_default=True)
@click.option("--docs", type=click.Path(path_type=Path), default=DOCS, help="Where to write.")
def main(folder: Path, data: Path | None, orders: int, rows: Rows, docs: Path) -> None:
    """Hold, measure, write."""
    prepare(1)
    with clear_errors():
        domains = read_domains(data_folder(data), Amounts())
        study = ShiftStudy(domains, KeptAnswers(folder / "answers"), folder)
        nights = [asyncio.run(study.hold(seed)) for seed in range(orders)]
        report = measure_nights(study, nights, rows)
    (folder / f"report-{rows}.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    click.echo(section(report))
    if rows == "test":
        page = docs / "nights.md"
        page.write_text(put(page.read_text(encoding="utf-8"), section(report)), encoding="utf-8")
        draw(report, docs / "nights-classify")


if __name__ == "__main__":
    main()
