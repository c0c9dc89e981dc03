"""How long answers took, in few numbers: counts of bins that widen with the time itself. Pure.

A quantile read from them is within 1 % of the time of its rank (Masson, Rim and Lee, DDSketch: a
fast and fully-mergeable quantile sketch with relative-error guarantees, VLDB 2019).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR: Final = 0.01
_WIDTH: Final = (1 + ERROR) / (1 - ERROR)


def bin_of(elapsed_us: int) -> int:
    """Return the bin of a time; whatever is shorter than a microsecond counts as one."""
    return math.ceil(math.log(max(1, elapsed_us), _WIDTH))


def quantile_ms(bins: Mapping[int, int], share: float) -> float:
    """Return the time of the rank ``share`` times the count, rounded up, in milliseconds.

    ``bins`` are counts, one at least.
    """
    rank = max(1, math.ceil(share * sum(bins.values())))
    seen = 0
    for number in sorted(bins):
        seen += bins[number]
        if seen >= rank:
            break
    return 2 * _WIDTH**number / (_WIDTH + 1) / 1_000
