"""What one agent did over the last minutes: a few figures a sample, packed, for there are many."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.wire.control import Telemetry

SAMPLES: Final = 120
FIELDS: Final = ("processor_share", "memory_bytes", "waiting", "p95_ms", "kept", "escalated")
_WIDTH: Final = 1 + len(FIELDS)


class NodeTrace:
    """The last samples of one agent; each is its time and the ``FIELDS`` of its telemetry."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows = array("d")

    def add(self, telemetry: Telemetry, at: float) -> None:
        """Add a sample; the oldest goes."""
        self._rows.extend((at, *(float(getattr(telemetry, field)) for field in FIELDS)))
        if len(self._rows) > _WIDTH * SAMPLES:
            del self._rows[:_WIDTH]

    def columns(self) -> dict[str, Any]:
        """Return the samples as columns; what is counted as it grew from one to the next."""
        at, *values = (self._rows[column::_WIDTH].tolist() for column in range(_WIDTH))
        seen = dict(zip(FIELDS, values, strict=True))
        charts: dict[str, dict[str, Any]] = {field: {field: seen[field]} for field in FIELDS[:4]}
        charts["prompts_s"] = {field: _rates(at, seen[field]) for field in FIELDS[4:]}
        return {"at": at, "charts": charts}


def _rates(at: list[float], counts: list[float]) -> list[float | None]:
    """Return what came a second between samples; None at the first, and where counting began."""
    rates: list[float | None] = [None]
    for i in range(1, len(at)):
        grown, elapsed_s = counts[i] - counts[i - 1], at[i] - at[i - 1]
        rates.append(grown / elapsed_s if grown >= 0 and elapsed_s > 0 else None)
    return rates[: len(at)]
