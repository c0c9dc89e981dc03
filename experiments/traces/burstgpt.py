"""BurstGPT: CSV with ``Timestamp`` in seconds, ``Request tokens`` and ``Response tokens``.

Published at github.com/HPMLL/BurstGPT (Wang et al., 2024). Requests that failed there have no
response tokens and are arrivals like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from experiments.traces.arrival import Arrival
from experiments.traces.columns import read_columns
from experiments.traces.values import number, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.traces.faults import Faults
    from shared.text_files import Line

COLUMNS: Final = ("Timestamp", "Request tokens", "Response tokens")


def read(lines: Iterator[Line], faults: Faults, seed: int) -> Iterator[tuple[int, Arrival]]:
    """Yield arrivals, in seconds since the trace's first day."""
    del seed
    return faults.each(read_columns(lines, COLUMNS, faults), _arrival)


def _arrival(cells: list[str]) -> Arrival:
    stamp, request, response = cells
    return Arrival(
        at_s=number(stamp, COLUMNS[0]),
        input_tokens=tokens(request, COLUMNS[1]),
        output_tokens=tokens(response, COLUMNS[2]),
    )
