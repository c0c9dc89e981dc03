"""Azure LLM inference traces of 2023: CSV ``TIMESTAMP,ContextTokens,GeneratedTokens``.

Published at github.com/Azure/AzurePublicDataset with Patel et al., "Splitwise" (ISCA 2024).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from experiments.traces.arrival import Arrival
from experiments.traces.columns import read_columns
from experiments.traces.faults import BadRow
from experiments.traces.lines import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.traces.faults import Faults
    from experiments.traces.lines import Line

COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_SECONDS: Final = len("2023-11-16 18:15:46")


def read(lines: Iterator[Line], faults: Faults, seed: int) -> Iterator[tuple[int, Arrival]]:
    """Yield arrivals at their times of day, in seconds since 1970."""
    del seed
    return faults.each(read_columns(lines, COLUMNS, faults), _arrival)


def _arrival(cells: list[str]) -> Arrival:
    stamp, context, generated = cells
    return Arrival(
        at_s=_seconds(stamp),
        input_tokens=tokens(context, COLUMNS[1]),
        output_tokens=tokens(generated, COLUMNS[2]),
    )


def _seconds(stamp: str) -> float:
    """Read a time with a fraction of any length: Azure's has seven digits."""
    whole, fraction = stamp[:_SECONDS], stamp[_SECONDS:]
    try:
        moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
        return moment.timestamp() + (float(f"0{fraction}") if fraction else 0.0)
    except ValueError:
        raise BadRow(f"TIMESTAMP is {stamp!r}, not like 2023-11-16 18:15:46.68") from None
