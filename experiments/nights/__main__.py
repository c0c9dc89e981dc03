"""``python -m experiments.nights FOLDER``: hold the nights, write docs/results-nights.md."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
import msgspec

from experiments.nights.base import make_base
from experiments.nights.page import page
from experiments.nights.study import MANY, NEVER, run_study
from shared.cli import clear_errors

DOCS: Final = Path(__file__).parents[2] / "docs"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Run the study in a folder, or go on with it, and write its report there and its page."""
    with clear_errors():
        base = make_base(folder / "base", MANY + NEVER)
        report = run_study(base, folder)
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    (DOCS / "results-nights.md").write_text(page(report), encoding="utf-8")
    click.echo(f"{DOCS / 'results-nights.md'} written")


if __name__ == "__main__":
    main()
