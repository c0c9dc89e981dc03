"""The project's own traces: one arrival a line, as JSON (see ``Arrival`` for the keys).

One that went through pandas has ``null`` for what an arrival does not say, and ``2.0`` for 2; both
are read as what they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from experiments.traces.arrival import Arrival
from experiments.traces.faults import BadRow
from experiments.traces.values import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from experiments.traces.faults import Faults
    from shared.text_files import Line

_objects = msgspec.json.Decoder(dict[str, Any])


def read(lines: Iterator[Line], faults: Faults, seed: int) -> Iterator[tuple[int, Arrival]]:
    """Yield the arrivals as they stand there."""
    del seed
    return faults.each(lines, _arrival)


def write(arrivals: Iterable[Arrival], path: Path) -> int:
    """Write arrivals, one a line; return how many."""
    count = 0
    with path.open("wb") as file:
        for arrival in arrivals:
            fields = msgspec.structs.asdict(arrival)
            said = {key: value for key, value in fields.items() if value not in (None, "", {})}
            file.write(msgspec.json.encode(said) + b"\n")
            count += 1
    return count


def _arrival(text: str) -> Arrival:
    said = {key: value for key, value in decode(_objects, text).items() if value is not None}
    try:
        return msgspec.convert(said, Arrival, strict=False)
    except msgspec.ValidationError as error:
        raise BadRow(str(error)) from error
