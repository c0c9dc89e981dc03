"""How long a model runs on a batch, drawn as it was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from experiments.profiling.profile import expected_us
from experiments.simulator.cpu import Step

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from experiments.profiling.profile import ModelTimes


class ServiceTimes:
    """The times of one model on one machine."""

    def __init__(self, times: ModelTimes, draw: random.Random) -> None:
        self._times = times
        self._draw = draw

    def steps(self, prompts_bytes: Sequence[int]) -> tuple[Step, Step]:
        """Return what a run on prompts of these sizes costs with the interpreter's lock, and free.

        Each call draws anew.
        """
        times = self._times
        warm_us = expected_us(times, sum(prompts_bytes), 1.0, len(prompts_bytes))
        warm_us *= self._spread()
        held_us = times.held_run_us + times.held_prompt_us * len(prompts_bytes)
        held_us = min(held_us, warm_us)
        free_us = warm_us - held_us
        held = Step(held_us * 1e-6, held_us * 1e-6)
        return held, Step((free_us + times.cold_us) * 1e-6, free_us * 1e-6)

    def _spread(self) -> float:
        """Draw from the measured quantiles, linear between two of them."""
        spread = self._times.spread
        place = self._draw.random() * (len(spread) - 1)
        low = math.floor(place)
        return spread[low] + (place - low) * (spread[low + 1] - spread[low])
