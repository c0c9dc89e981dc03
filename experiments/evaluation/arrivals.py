"""When prompts arrive: seeded synthetic processes, for studies without a recorded trace."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Process = Literal["even", "poisson", "bursty", "rising"]
_BURST_SHAPE = 0.1
_RISE = 4.0


def arrivals_s(process: Process, prompts: int, rate_per_s: float, seed: int = 0) -> list[float]:
    """Return ascending arrival times in seconds at a mean rate.

    ``even`` has equal gaps, ``poisson`` exponential ones, ``bursty`` Gamma ones with a coefficient
    of variation of √10; ``rising`` is a Poisson process whose rate grows fourfold over the run.
    """
    draw = random.Random(seed)  # noqa: S311 - a process, not a secret
    return list(accumulate(_gaps(process, prompts, rate_per_s, draw)))


def _gaps(
    process: Process, prompts: int, rate_per_s: float, draw: random.Random
) -> Iterator[float]:
    for number in range(prompts):
        if process == "even":
            yield 1.0 / rate_per_s
        elif process == "bursty":
            yield draw.gammavariate(_BURST_SHAPE, 1.0 / (rate_per_s * _BURST_SHAPE))
        elif process == "rising":
            grown = 1.0 + (_RISE - 1.0) * number / prompts
            yield draw.expovariate(rate_per_s * 2.0 / (1.0 + _RISE) * grown)
        else:
            yield draw.expovariate(rate_per_s)
