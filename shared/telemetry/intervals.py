"""How sure one can be of a share that was counted."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

_Z95: Final = 1.959963984540054


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def wilson(right: int, count: int) -> Interval:
    """Return Wilson's score interval of a proportion; ``count`` is at least 1."""
    share, z2 = right / count, _Z95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))
