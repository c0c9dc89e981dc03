"""Keep the soft-labelled pool on disk, so that the steps after it can be run on their own."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from models.train.data import Example
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HEADER = "text\tpositive"


def write_pool(path: Path, pool: Sequence[Example]) -> None:
    """Write one example a row: its text, a tab, its probability of positive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="\n") as file:
        file.write(_HEADER + "\n")
        file.writelines(f"{one.text}\t{one.positive:.5f}\n" for one in pool)


def read_pool(path: Path) -> list[Example]:
    """Read what `write_pool` wrote. Raises DataError naming the file and the bad row."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            if lines.readline().rstrip("\n") != _HEADER:
                raise DataError(f"{path}: row 1 is not {_HEADER!r}; run the pool step again")
            return [_parse(line, path, number) for number, line in enumerate(lines, start=2)]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the pool step first") from None


def _parse(line: str, path: Path, number: int) -> Example:
    text, _, positive = line.rstrip("\n").rpartition("\t")
    try:
        target = float(positive)
    except ValueError:
        raise DataError(f"{path}: row {number} has the target {positive!r}; 0 to 1") from None
    if not text or not 0 <= target <= 1:
        raise DataError(f"{path}: row {number} needs a text and a target from 0 to 1")
    return Example(text, target)
