"""A trace from its file, in whichever of the known formats it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from experiments.traces import azure, burstgpt, mooncake, own, servegen
from experiments.traces.arrival import Arrival
from experiments.traces.columns import split
from experiments.traces.faults import Faults
from experiments.traces.lines import Line, read_lines
from experiments.traces.synthetic import draw_arrivals, is_synthetic
from shared.errors import DataError

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
    """Begin to read a trace: a file, plain or gzip, or something like ``poisson:rate=5``.

    ``seed`` fixes what is drawn. Raises ``DataError`` for a file that cannot be read, is empty or
    of no known format; a bad row is counted and skipped, or raises it too, naming the line.
    """
    faults = Faults(place, skip=skip_bad_rows)
    if is_synthetic(place):
        return Trace("synthetic", draw_arrivals(place, seed), faults)
    if format_ not in ("auto", *FORMATS):
        raise DataError(f"no trace format is called {format_!r}; known: auto, {', '.join(FORMATS)}")
    lines = read_lines(Path(place), faults)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{place}: has no rows")
    if format_ == "auto":
        format_ = _guess(first.text, place)
    rows = FORMATS[format_](chain([first], lines), faults, seed)
    return Trace(format_, _in_order(rows, faults, from_first=format_ in _FROM_FIRST), faults)


def _guess(first: str, place: str) -> str:
    """Tell the format from the first line."""
    if first.lstrip().startswith("{"):
        return "recserve" if '"at_s"' in first else "mooncake"
    cells = split(first)
    for name, columns in _COLUMNS.items():
        if set(columns) <= set(cells):
            return name
    raise DataError(
        f"{place}: its first line is that of no known format ({', '.join(FORMATS)}); name one"
    )


def _in_order(
    rows: Iterator[tuple[int, Arrival]], faults: Faults, *, from_first: bool
) -> Iterator[Arrival]:
    begin_s, latest_s = None, 0.0
    for line, arrival in rows:
        if begin_s is None:
            begin_s = arrival.at_s if from_first else 0.0
        if arrival.at_s < latest_s:
            late_s = latest_s - arrival.at_s
            faults.note(line, f"comes {late_s:.6g} s before the row above it; sort the trace")
            continue
        latest_s = arrival.at_s
        at_s = latest_s - begin_s
        yield msgspec.structs.replace(arrival, at_s=at_s) if begin_s else arrival
    if begin_s is None:
        raise DataError(
            f"{faults.path}: no row of it can be read; {faults.first[0]}"
            if faults.first
            else f"{faults.path}: has no rows"
        )
