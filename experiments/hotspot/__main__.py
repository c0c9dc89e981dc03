"""Writes docs/results-memory.md from a report (``make results-memory``)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import click
import msgspec

from experiments.hotspot.goals import verdicts
from experiments.hotspot.page import page
from experiments.hotspot.study import HotspotReport
from shared.cli import clear_errors
from shared.errors import DataError

DOCS: Final = Path(__file__).parents[2] / "docs"
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.argument("others", nargs=-1, type=_FOLDER)
@click.option("--real", type=_FOLDER, help="Report on real questions.")
def main(folder: Path, others: tuple[Path, ...], real: Path | None) -> None:
    """Write the page of a report and of others with other seeds, and the pictures beside it."""
    with clear_errors():
        first, *rest = (_report(each) for each in (folder, *others))
        text = page(first, rest, _report(real) if real else None)
    for name in ("tradeoff", "by-day"):
        shutil.copyfile(folder / f"{name}.png", DOCS / f"memory-{name}.png")
    (DOCS / "results-memory.md").write_text(text, encoding="utf-8")
    for line in verdicts([first, *rest]):
        click.echo(line)
    click.echo(f"{DOCS / 'results-memory.md'} written")


def _report(folder: Path) -> HotspotReport:
    try:
        return msgspec.json.decode((folder / "report.json").read_bytes(), type=HotspotReport)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(
            f"{folder}: holds no report of recserve experiment hotspot ({error})"
        ) from error


if __name__ == "__main__":
    main()
