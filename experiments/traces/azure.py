"""Azure LLM inference traces: CSV ``TIMESTAMP,ContextTokens,GeneratedTokens``.

Published at github.com/Azure/AzurePublicDataset with Patel et al., "Splitwise" (ISCA 2024). The
times of 2023 name no offset from UTC and have seven digits after the second; those of 2024 have an
offset.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from experiments.traces.arrival import Arrival
from experiments.traces.columns import read_columns
from experiments.traces.faults import BadRow
from experiments.traces.values import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.traces.faults import Faults
    from shared.text_files import Line

COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d*)? ?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_UTC: Final = ("Z", "z", "UTC", None)


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
    """Read a time with a fraction of any length; without an offset it is taken for UTC."""
    found = _TIME.fullmatch(stamp.strip())
    if found is None:
        raise BadRow(f"TIMESTAMP is {stamp!r}, not like 2023-11-16 18:15:46.68")
    day, time, fraction, offset = found.groups()
    zone = "+0000" if offset in _UTC else offset.ljust(5, "0").replace(":", "")
    try:
        moment = datetime.strptime(f"{day} {time} {zone}", "%Y-%m-%d %H:%M:%S %z")
    except ValueError as error:
        raise BadRow(f"TIMESTAMP is {stamp!r}, which is no time ({error})") from None
    return moment.timestamp() + float(f"0{fraction or ''}")
