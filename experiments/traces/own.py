"""The project's own traces: one arrival a line, as JSON (see ``Arrival`` for the keys)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from experiments.traces.arrival import Arrival
from experiments.traces.lines import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from experiments.traces.faults import Faults
    from experiments.traces.lines import Line

_arrivals = msgspec.json.Decoder(Arrival)


def read(lines: Iterator[Line], faults: Faults, seed: int) -> Iterator[tuple[int, Arrival]]:
    """Yield the arrivals as they stand there."""
    del seed
    return faults.each(lines, lambda text: decode(_arrivals, text))


def write(arrivals: Iterable[Arrival], path: Path) -> int:
    """Write arrivals, one a line; return how many."""
    count = 0
    with path.open("wb") as file:
        for arrival in arrivals:
            fields = msgspec.structs.asdict(arrival)
            said = {key: value for key, value in fields.items() if value not in (None, "")}
            file.write(msgspec.json.encode(said) + b"\n")
            count += 1
    return count
