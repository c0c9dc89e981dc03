"""How long models run on this machine, by the size of their batches and of the texts in them."""

from __future__ import annotations

import random
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from experiments.profiling.agents import PAUSE_S
from experiments.profiling.fitting import EVEN, nnls, spread_of
from experiments.profiling.held_lock import held_s
from experiments.profiling.profile import BatchTimes, ModelTimes, expected_us
from shared.runtimes import load_model
from shared.tasks import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Model, ModelSettings

SIZES: Final = (1, 2, 4, 8, 16, 32)
HELD_SIZES: Final = (1, 8)
_RUNS: Final = 10
_MOST_S: Final = 1.0
_COLD_RUNS: Final = 40
_HELD_RUNS: Final = 10
_HELD_TIMES: Final = 10


class TimedRun(NamedTuple):
    """One run: the sizes of its prompts in bytes, and how long it took."""

    sizes: tuple[int, ...]
    us: float


class NamedTimes(NamedTuple):
    """A model's name and its times."""

    name: str
    times: ModelTimes


class Bench:
    """Models of which each is measured a little at a time, so that all see the same weather.

    The cores of a shared virtual machine run at half their speed from one minute to the next, as
    their neighbours please, and the clocks of a small board sink when it is hot.
    """

    def __init__(self, settings: Sequence[ModelSettings], texts: Sequence[str]) -> None:
        nnls()  # sooner than after all the work
        self._order = list(settings)
        # One that is named twice is measured once, and each with one thread, too: see _held_us.
        settings = list({_key(one): one for one in (*settings, *map(_single, settings))}.values())
        self._settings = settings
        self._models = [load_model(one) for one in settings]
        self._texts = texts
        self._draw = random.Random(1)  # noqa: S311 - draws texts, guards nothing
        self._warm: list[list[TimedRun]] = [[] for _ in settings]
        self._cold: list[list[TimedRun]] = [[] for _ in settings]
        self._held_us: dict[bytes, dict[int, list[float]]] = {
            _key(one): defaultdict(list) for one in settings
        }
        """Threads of an engine that wait for more to do by spinning would take the core away from
        the thread that is watched: what a model of one thread holds is what it always holds."""
        for model in self._models:
            model.answer(_requests(model, texts[:20]))

    def round(self) -> None:
        """Run every model on batches of every size, cold and warm."""
        for row, (settings, model) in enumerate(zip(self._settings, self._models, strict=True)):
            for size in SIZES:
                self._warm[row] += self._runs(model, size)
            for _ in range(_COLD_RUNS):
                time.sleep(PAUSE_S)
                self._cold[row].append(self._one(model, 1))
            if settings.threads > 1:
                continue
            for size in HELD_SIZES * _HELD_TIMES:
                self._held_us[_key(settings)][size].append(held_us(model, self._texts, size))

    def close(self) -> list[NamedTimes]:
        """Let go of the models; return the times of each, in their order."""
        found = {}
        for row, (settings, model) in enumerate(zip(self._settings, self._models, strict=True)):
            seen = self._held_us[_key(_single(settings))]
            held = {size: statistics.median(us) for size, us in seen.items()}
            times = fit(self._warm[row], self._cold[row], held, settings.threads)
            found[_key(settings)] = NamedTimes(model.name, times)
            model.close()
        return [found[_key(settings)] for settings in self._order]

    def _runs(self, model: Model, size: int) -> list[TimedRun]:
        """Run batches of one size straight after each other."""
        runs: list[TimedRun] = []
        begun_s = time.perf_counter()
        wanted = _RUNS * (4 if size == 1 else 1)
        while len(runs) < wanted and (not runs or time.perf_counter() - begun_s < _MOST_S):
            runs.append(self._one(model, size))
        return runs

    def _one(self, model: Model, size: int) -> TimedRun:
        batch = self._draw.choices(self._texts, k=size)
        asked = _requests(model, batch)
        begun_s = time.perf_counter()
        model.answer(asked)
        took_s = time.perf_counter() - begun_s
        return TimedRun(tuple(len(text.encode()) for text in batch), took_s * 1e6)


def _key(settings: ModelSettings) -> bytes:
    """Return what tells one from another: settings hold dictionaries, and so are no keys."""
    return msgspec.json.encode(settings)


def _single(settings: ModelSettings) -> ModelSettings:
    return msgspec.structs.replace(settings, threads=1)


def fit(
    warm: Sequence[TimedRun], cold: Sequence[TimedRun], held_us: dict[int, float], threads: int
) -> ModelTimes:
    """Fit run, prompt and byte times to what was measured; relative errors count."""
    rows = np.array([[1.0, len(run.sizes), sum(run.sizes)] for run in warm])
    took_us = np.array([run.us for run in warm])
    found, _ = nnls()(rows / took_us[:, None], np.ones(len(warm)))
    one, many = HELD_SIZES
    held_prompt_us = max((held_us[many] - held_us[one]) / (many - one), 0.0)
    held_run_us = max(held_us[one] - held_prompt_us, 0.0)
    times = ModelTimes(
        threads=threads,
        run_us=round(float(found[0]), 2),
        prompt_us=round(float(found[1]), 2),
        byte_us=round(float(found[2]), 4),
        held_run_us=round(held_run_us, 2),
        held_prompt_us=round(held_prompt_us, 2),
        cold_us=0.0,
        spread=EVEN,
        batches=tuple(_batch(warm, size) for size in SIZES),
    )
    late_us = statistics.median(run.us - _expected_us(times, run) for run in cold)
    ratios = [run.us / _expected_us(times, run) for run in warm if len(run.sizes) == 1]
    return msgspec.structs.replace(
        times, cold_us=round(max(late_us, 0.0), 2), spread=spread_of(ratios)
    )


def _expected_us(times: ModelTimes, run: TimedRun) -> float:
    return expected_us(times, sum(run.sizes), 1.0, len(run.sizes))


def held_us(model: Model, texts: Sequence[str], size: int) -> float:
    """Return how long a run on so many prompts holds the interpreter's lock."""

    def run_some() -> None:
        for number in range(_HELD_RUNS):
            first = number * size % (len(texts) - size)
            model.answer(_requests(model, texts[first : first + size]))

    return held_s(run_some) / _HELD_RUNS * 1e6


def _requests(model: Model, texts: Sequence[str]) -> list[Request]:
    """Return requests for what the model is for: to classify or to tag."""
    (task,) = model.tasks
    return [Request(task, text) for text in texts]


def _batch(runs: Sequence[TimedRun], size: int) -> BatchTimes:
    us = [run.us for run in runs if len(run.sizes) == size]
    p50, p99 = np.quantile(us, [0.5, 0.99])
    return BatchTimes(size, round(float(p50), 1), round(float(p99), 1))
