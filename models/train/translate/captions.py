"""Read pairs of captions. Leaves out tokenising.

Files are gzipped, tab-separated, with the header `source<TAB>target`.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FOLDER = "multi30k_en_de"
_HEADER = "source\ttarget"
_COLUMNS = 2


@dataclass(frozen=True)
class CaptionPair:
    """An English caption and its German translation, spaces at their ends removed."""

    source: str
    target: str


def read_pairs(root: Path, part: str) -> list[CaptionPair]:
    """All pairs of one part (`train`, `dev`, ...) of the set under `root`, or raise DataError."""
    return read_captions(root / FOLDER / f"{part}.tsv.gz")


def write_pairs(path: Path, pairs: Iterable[CaptionPair]) -> None:
    """Write a file that `read_captions` reads."""
    with gzip.open(path, "wt", encoding="utf-8", newline="\n") as lines:
        lines.write(f"{_HEADER}\n")
        lines.writelines(f"{pair.source}\t{pair.target}\n" for pair in pairs)


def read_captions(path: Path) -> list[CaptionPair]:
    """All pairs of one file. Raises DataError naming it, and the row where one is bad."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            header = lines.readline().rstrip("\n")
            if header != _HEADER:
                raise DataError(f"{path}: row 1 is {header!r}; the header must be {_HEADER!r}")
            return [_parse(line, path, number) for number, line in enumerate(lines, start=2)]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the folder of the data sets") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as gzipped UTF-8: {error}") from error


def _parse(line: str, path: Path, number: int) -> CaptionPair:
    cells = [" ".join(cell.split()) for cell in line.rstrip("\n").split("\t")]
    if len(cells) != _COLUMNS:
        raise DataError(f"{path}: row {number} has {len(cells)} columns; it must have {_COLUMNS}")
    if not all(cells):
        raise DataError(f"{path}: row {number} has an empty caption")
    return CaptionPair(*cells)
