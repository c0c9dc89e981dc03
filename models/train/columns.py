"""Gzipped files of two tab-separated columns under a header, as the public sets come."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final, TypeVar

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_COLUMNS: Final = 2
_Row = TypeVar("_Row")


def read_columns(path: Path, header: str, make: Callable[[str, str], _Row]) -> list[_Row]:
    """Return what ``make`` says of the cells of each row; its ``ValueError`` says what is wrong.

    Raises ``DataError`` that names the file, and the row where one is bad.
    """
    rows: list[_Row] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            found = lines.readline().rstrip("\n")
            if found != header:
                raise DataError(f"{path}: row 1 is {found!r}; the header must be {header!r}")
            for number, line in enumerate(lines, start=2):
                rows.append(_row(path, number, line.rstrip("\n").split("\t"), make))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the folder of the data sets") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as gzipped UTF-8: {error}") from error
    return rows


def _row(path: Path, number: int, cells: list[str], make: Callable[[str, str], _Row]) -> _Row:
    if len(cells) != _COLUMNS:
        raise DataError(f"{path}: row {number} has {len(cells)} columns; it must have {_COLUMNS}")
    try:
        return make(*cells)
    except ValueError as error:
        raise DataError(f"{path}: row {number} {error}") from error
