"""Read pairs of captions. Leaves out tokenising.

Files are gzipped, tab-separated, with the header `source<TAB>target`.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.train.columns import read_columns

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FOLDER = "multi30k_en_de"
_HEADER = "source\ttarget"


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
    return read_columns(path, _HEADER, _pair)


def _pair(source: str, target: str) -> CaptionPair:
    pair = CaptionPair(" ".join(source.split()), " ".join(target.split()))
    if not (pair.source and pair.target):
        raise ValueError("has an empty caption")
    return pair
