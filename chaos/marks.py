"""Puts what a run found between two marks of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


def replace(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the page's marks of this name."""
    begins, ends = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = path.read_text(encoding="utf-8").partition(begins)
    _, end, after = rest.partition(ends)
    if not (begin and end):
        raise click.ClickException(f"{path} has no lines {begins} and {ends}")
    path.write_text(f"{before}{begins}\n{text}\n{ends}{after}", encoding="utf-8")
