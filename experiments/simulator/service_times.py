"""How long a model runs on a batch, or on a step of texts, drawn as it was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from experiments.profiling.profile import expected_us
from experiments.simulator.cpu import Step

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from experiments.profiling.profile import ModelTimes, WritingTimes


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
        warm_us *= draw_spread(times.spread, self._draw)
        held_us = times.held_run_us + times.held_prompt_us * len(prompts_bytes)
        held_us = min(held_us, warm_us)
        free_us = warm_us - held_us
        held = Step(held_us * 1e-6, held_us * 1e-6)
        return held, Step((free_us + times.cold_us) * 1e-6, free_us * 1e-6)


class TextStep(NamedTuple):
    """One text's part in a step: tokens of its prompt if it is read now, and how slow it is."""

    tokens_in: int
    slowness: float


class WritingServiceTimes:
    """The times of one model that writes, on one machine."""

    def __init__(self, times: WritingTimes, draw: random.Random) -> None:
        self._times = times
        self._draw = draw

    def slowness(self) -> float:
        """Draw how much longer than expected a text takes."""
        return draw_spread(self._times.spread, self._draw)

    def steps(self, texts: Sequence[TextStep], *, cold: bool) -> tuple[Step, Step]:
        """Return what a step of these texts costs with the interpreter's lock, and free.

        A ``cold`` step comes after a pause.
        """
        times = self._times
        shared_us = times.step_us / len(texts)
        warm_us = 0.0
        for text in texts:
            us = shared_us + times.decode_token_us
            if text.tokens_in:
                us += times.prefill_us + times.prefill_token_us * text.tokens_in
            warm_us += us * text.slowness
        held_s = warm_us * times.held_share * 1e-6
        free_s = warm_us * 1e-6 - held_s
        cold_s = times.cold_us * 1e-6 if cold else 0.0
        return Step(held_s, held_s), Step(free_s + cold_s, free_s)


def draw_spread(spread: Sequence[float], draw: random.Random) -> float:
    """Draw from measured quantiles, linear between two of them."""
    place = draw.random() * (len(spread) - 1)
    low = math.floor(place)
    return spread[low] + (place - low) * (spread[low + 1] - spread[low])
