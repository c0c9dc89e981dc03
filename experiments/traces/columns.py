"""Tables with commas: a header that names the columns, then rows."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from experiments.traces.faults import BadRow
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from experiments.traces.faults import Faults
    from experiments.traces.lines import Line


def split(text: str) -> list[str]:
    """Return the cells of one row."""
    return next(csv.reader([text]), [])


def read_columns(
    lines: Iterator[Line], wanted: Sequence[str], faults: Faults
) -> Iterator[tuple[int, list[str]]]:
    """Return line number and wanted cells of every row, in the order in which they are wanted.

    Raises ``DataError`` for a header without them.
    """
    head = next(lines, None)
    names = split(head.text) if head else []
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"{faults.path}: has no column {missing[0]!r}; it has {', '.join(names)}")
    places = [names.index(name) for name in wanted]
    return faults.each(lines, lambda text: _pick(text, places, len(names)))


def _pick(text: str, places: list[int], columns: int) -> list[str]:
    try:
        cells = split(text)
    except csv.Error as error:
        raise BadRow(str(error)) from error
    if len(cells) != columns:
        raise BadRow(f"has {len(cells)} cells, not {columns}")
    return [cells[place] for place in places]
