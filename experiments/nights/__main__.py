"""``python -m experiments.nights FOLDER``: hold three nights, print what was learned."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from experiments.nights.base import make_base
from experiments.nights.study import NIGHTS, StudyReport, run_study


def main(folder: Path) -> None:
    """Run the study in a folder, write ``report.json`` there and print its table."""
    base = make_base(folder / "base", sum(NIGHTS))
    report = asyncio.run(run_study(base, folder))
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    show(report, Console())


def show(report: StudyReport, console: Console) -> None:
    """Print the report as a table."""
    table = Table("after", "facts", "verdict", "seconds", "held-out wordings", "known", "copied")
    shares = report.before
    table.add_row("nothing", "", "", "", "", f"{shares.known:.3f}", f"{shares.copied:.3f}")
    for night in report.nights:
        outcome, shares = night.outcome, night.shares
        table.add_row(
            f"night {outcome.number}",
            f"{outcome.new}",
            outcome.verdict,
            f"{outcome.seconds:.0f}",
            ", ".join(f"{share:.3f}" for share in shares.facts),
            f"{shares.known:.3f}",
            f"{shares.copied:.3f}",
        )
    console.print(table)
    console.print(f"without replay: {report.forgetting.verdict}: {report.forgetting.why}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
