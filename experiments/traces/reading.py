"""A trace from its file, in whichever of the known formats it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from experiments.traces import azure, burstgpt, mooncake, own, servegen
from experiments.traces.arrival import Arrival
from experiments.traces.columns import read_header
from experiments.traces.faults import BadRow, Faults, cut
from experiments.traces.order import in_order
from experiments.traces.synthetic import draw_arrivals, is_synthetic
from shared.errors import DataError
from shared.text_files import Line, read_lines

_Read = Callable[[Iterator[Line], Faults, int], Iterator[tuple[int, Arrival]]]

FORMATS: Final[dict[str, _Read]] = {
    "azure": azure.read,
    "mooncake": mooncake.read,
    "burstgpt": burstgpt.read,
    "servegen": servegen.read,
    "recserve": own.read,
}
"""Readers by the name of their format."""

_FROM_FIRST: Final = ("azure", "burstgpt")
"""Formats with times of day: a trace begins with its first row."""

_COLUMNS: Final = {
    "azure": azure.COLUMNS,
    "burstgpt": burstgpt.COLUMNS,
    "servegen": servegen.COLUMNS,
}


class Trace(NamedTuple):
    """Arrivals in order of time, read as they are asked for; ``faults`` fills meanwhile."""

    format: str
    arrivals: Iterator[Arrival]
    faults: Faults


def read_trace(
    place: str, *, format_: str = "auto", seed: int = 0, skip_bad_rows: bool = True
) -> Trace:
    """Begin to read a trace: a file, plain or packed, or something like ``poisson:rate=5``.

    ``seed`` fixes what is drawn. Raises ``DataError`` for a file that cannot be read, is empty or
    of no known format; a bad row is counted and skipped, or raises it too, naming the line.
    """
    faults = Faults(place, skip=skip_bad_rows)
    if is_synthetic(place):
        return Trace("synthetic", draw_arrivals(place, seed), faults)
    if format_ not in ("auto", *FORMATS):
        raise DataError(f"no trace format is called {format_!r}; known: auto, {', '.join(FORMATS)}")
    lines = read_lines(Path(place), faults.note)
    first = next(lines, None)
    if first is None:
        raise _nothing(faults)
    if format_ == "auto":
        format_ = _guess(first, faults)
    rows = FORMATS[format_](chain([first], lines), faults, seed)
    return Trace(format_, _from_zero(rows, faults, from_first=format_ in _FROM_FIRST), faults)


def _guess(first: Line, faults: Faults) -> str:
    """Tell the format from the first line."""
    if first.text.lstrip().startswith("{"):
        return "recserve" if '"at_s"' in first.text else "mooncake"
    try:
        names = read_header(first.text).names
    except BadRow as error:
        raise DataError(f"{faults.path}, line {first.number}: {error}") from error
    for format_, columns in _COLUMNS.items():
        if set(columns) <= set(names):
            return format_
    if faults.first:
        raise _nothing(faults)
    raise DataError(
        f"{faults.path}: its first line, {cut(repr(first.text))}, is that of no known format "
        f"({', '.join(FORMATS)}); name one"
    )


def _from_zero(
    rows: Iterator[tuple[int, Arrival]], faults: Faults, *, from_first: bool
) -> Iterator[Arrival]:
    begin_s = None
    for _, arrival in in_order(rows, lambda arrival: arrival.at_s, faults):
        if begin_s is None:
            begin_s = arrival.at_s if from_first else 0.0
        yield (
            msgspec.structs.replace(arrival, at_s=arrival.at_s - begin_s) if begin_s else arrival
        )
    if begin_s is None:
        raise _nothing(faults)


def _nothing(faults: Faults) -> DataError:
    if faults.first:
        return DataError(f"{faults.path}: no row of it can be read; {faults.first[0]}")
    return DataError(f"{faults.path}: has no rows")
