"""How much memory processes hold, and whether that grows. Reads /proc: Linux only."""

from __future__ import annotations

import asyncio
import time
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVERY_S: Final = 5.0
LEVEL_MB_MINUTE: Final = 0.2
"""Growth up to this is none: at 60 messages a second it is less than 60 bytes of each."""


class Reading(NamedTuple):
    """What one process held at a time since the start."""

    at_s: float
    megabytes: float


def held_mb(process: int) -> float:
    """Return the resident memory of a process, 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return int(kilobytes[0]) / 1024 if kilobytes else 0.0


async def watch(processes: Mapping[str, int], seconds: float) -> dict[str, list[Reading]]:
    """Return what each process held, every few seconds."""
    readings: dict[str, list[Reading]] = {name: [] for name in processes}
    started_s = time.monotonic()
    while (at_s := time.monotonic() - started_s) < seconds:
        for name, process in processes.items():
            readings[name].append(Reading(at_s, held_mb(process)))
        await asyncio.sleep(EVERY_S - (time.monotonic() - started_s) % EVERY_S)
    return readings


def grows_mb_minute(readings: Sequence[Reading], last_s: float) -> float:
    """Return the slope of the last so many seconds: the median of those between any two readings.

    So one burst, of which the allocator keeps a megabyte or two, is no growth; a leak is.
    """
    late = [each for each in readings if each.at_s >= readings[-1].at_s - last_s]
    slopes = [
        60 * (after.megabytes - before.megabytes) / (after.at_s - before.at_s)
        for before, after in combinations(late, 2)
    ]
    return float(np.median(slopes)) if slopes else 0.0
