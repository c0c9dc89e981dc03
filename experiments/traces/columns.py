"""Tables: a header that names the columns, then rows; commas, semicolons or tabs between cells."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.traces.faults import BadRow, cut
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from experiments.traces.faults import Faults
    from shared.text_files import Line

_DELIMITERS: Final = ",;\t"


class Header(NamedTuple):
    """The names of the columns, and what stands between cells."""

    names: list[str]
    delimiter: str


def read_header(text: str) -> Header:
    """Take a first line apart, or raise ``BadRow``."""
    delimiter = max(_DELIMITERS, key=text.count)
    return Header([name.strip() for name in _split(text, delimiter)], delimiter)


def read_columns(
    lines: Iterator[Line], wanted: Sequence[str], faults: Faults
) -> Iterator[tuple[int, list[str]]]:
    """Return line number and wanted cells of every row, in the order in which they are wanted.

    Raises ``DataError`` for a header without them.
    """
    head = next(lines)
    try:
        header = read_header(head.text)
    except BadRow as error:
        raise DataError(f"{faults.path}, line {head.number}: {error}") from error
    missing = [name for name in wanted if name not in header.names]
    if missing:
        has = cut(repr(", ".join(header.names)))
        raise DataError(f"{faults.path}: has no column {missing[0]!r}; it has {has}")
    places = [header.names.index(name) for name in wanted]
    return faults.each(lines, lambda text: _pick(text, places, header))


def _pick(text: str, places: list[int], header: Header) -> list[str]:
    cells = _split(text, header.delimiter)
    if len(cells) != len(header.names):
        raise BadRow(f"has {len(cells)} cells, not {len(header.names)}")
    return [cells[place] for place in places]


def _split(text: str, delimiter: str) -> list[str]:
    if "\r" in text:
        raise BadRow("holds a carriage return that ends no line; save the file with LF or CR LF")
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise BadRow(f"is no row of a table ({error})") from error
