"""Writes docs/results-memory.md from a report (``make results-memory``)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import click
import msgspec

from experiments.hotspot.page import page
from experiments.hotspot.study import HotspotReport
from shared.cli import clear_errors
from shared.errors import DataError

DOCS: Final = Path(__file__).parents[2] / "docs"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the page, and copy the pictures beside it."""
    with clear_errors():
        try:
            report = msgspec.json.decode((folder / "report.json").read_bytes(), type=HotspotReport)
        except (OSError, msgspec.DecodeError) as error:
            raise DataError(
                f"{folder}: holds no report of recserve experiment hotspot ({error})"
            ) from error
    for name in ("tradeoff", "by-day"):
        shutil.copyfile(folder / f"{name}.png", DOCS / f"memory-{name}.png")
    (DOCS / "results-memory.md").write_text(page(report), encoding="utf-8")
    click.echo(f"{DOCS / 'results-memory.md'} written")


if __name__ == "__main__":
    main()
