"""How long models run on this machine, by the size of their batches and of the texts in them."""

from __future__ import annotations

import random
import statistics
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from planning.measured import Batch, ModelTimes
from planning.service_times import expected_us
from recserve.measuring import PAUSE_S
from shared.runtimes import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recserve.probe import Probe
    from shared.runtimes import Model, ModelSettings

SIZES: Final = (1, 2, 4, 8, 16, 32)
_RUNS: Final = 40
_MOST_S: Final = 4.0
_NEAR_S: Final = 0.5
_COLD_RUNS: Final = 150
_HELD_RUNS: Final = 300
_QUANTILES: Final = 21


class _Run(NamedTuple):
    """One run: when it ended, the sizes of its prompts in bytes, and how long it took."""

    at_s: float
    sizes: tuple[int, ...]
    us: float


def measure_model(
    settings: ModelSettings, texts: Sequence[str], probe: Probe
) -> tuple[str, Callable[[], ModelTimes]]:
    """Measure; return the model's name, and what gives its times once the probe has seen enough.

    Batches are drawn from ``texts``.
    """
    model = load_model(settings)
    draw = random.Random(1)  # noqa: S311 - draws texts, guards nothing
    try:
        model.answer(texts[:20])
        warm = [run for size in SIZES for run in _runs(model, texts, size, draw)]
        cold = _cold_runs(model, texts, draw)
        held_us = _held_us(model, texts)
    finally:
        model.close()

    def at_mean_speed(run: _Run) -> _Run:
        return run._replace(
            us=run.us * probe.us() / probe.us(run.at_s - _NEAR_S, run.at_s + _NEAR_S)
        )

    def times() -> ModelTimes:
        steady, steady_cold = ([at_mean_speed(run) for run in runs] for runs in (warm, cold))
        return fit(steady, steady_cold, held_us, settings.threads)

    return model.name, times


def fit(warm: Sequence[_Run], cold: Sequence[_Run], held_us: float, threads: int) -> ModelTimes:
    """Fit run, prompt and byte times to what was measured; relative errors count."""
    rows = np.array([[1.0, len(run.sizes), sum(run.sizes)] for run in warm])
    took_us = np.array([run.us for run in warm])
    found = _least_squares(rows / took_us[:, None], np.ones(len(warm)))
    times = ModelTimes(
        threads=threads,
        run_us=round(float(found[0]), 2),
        prompt_us=round(float(found[1]), 2),
        byte_us=round(float(found[2]), 4),
        held_us=round(held_us, 2),
        cold_us=0.0,
        spread=(1.0,) * _QUANTILES,
        batches=tuple(_batch(warm, size) for size in SIZES),
    )
    late_us = statistics.median(run.us - expected_us(times, run.sizes) for run in cold)
    ratios = [run.us / expected_us(times, run.sizes) for run in warm if len(run.sizes) == 1]
    spread = np.quantile(ratios, np.linspace(0, 1, _QUANTILES))
    return msgspec.structs.replace(
        times,
        cold_us=round(max(late_us, 0.0), 2),
        spread=tuple(round(float(ratio), 4) for ratio in spread),
    )


def _least_squares(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the coefficients, none of them negative: what would be is left out."""
    used = list(range(rows.shape[1]))
    while True:
        found = np.linalg.lstsq(rows[:, used], wanted, rcond=None)[0]
        if (found >= 0).all():
            whole = np.zeros(rows.shape[1])
            whole[used] = found
            return whole
        used.pop(int(found.argmin()))


def _runs(model: Model, texts: Sequence[str], size: int, draw: random.Random) -> list[_Run]:
    """Run batches of one size straight after each other."""
    runs: list[_Run] = []
    begun_s = time.perf_counter()
    while len(runs) < _RUNS * (4 if size == 1 else 1) and time.perf_counter() - begun_s < _MOST_S:
        runs.append(_one(model, draw.choices(texts, k=size)))
    return runs


def _cold_runs(model: Model, texts: Sequence[str], draw: random.Random) -> list[_Run]:
    """Run one prompt at a time, after pauses."""
    runs: list[_Run] = []
    for _ in range(_COLD_RUNS):
        time.sleep(PAUSE_S)
        runs.append(_one(model, draw.choices(texts, k=1)))
    return runs


def _held_us(model: Model, texts: Sequence[str]) -> float:
    """Return how long a run on one prompt holds the interpreter's lock.

    A thread that does nothing but compute loses just that time to another that runs the model.
    """
    stop = threading.Event()
    computed_s = []

    def compute() -> None:
        begun_s = time.thread_time()
        while not stop.is_set():
            pass
        computed_s.append(time.thread_time() - begun_s)

    thread = threading.Thread(target=compute)
    thread.start()
    begun_s = time.perf_counter()
    for number in range(_HELD_RUNS):
        model.answer([texts[number % len(texts)]])
    took_s = time.perf_counter() - begun_s
    stop.set()
    thread.join()
    return max(took_s - computed_s[0], 0.0) / _HELD_RUNS * 1e6


def _one(model: Model, batch: list[str]) -> _Run:
    begun_s = time.perf_counter()
    model.answer(batch)
    took_s = time.perf_counter() - begun_s
    return _Run(time.monotonic(), tuple(len(text.encode()) for text in batch), took_s * 1e6)


def _batch(runs: Sequence[_Run], size: int) -> Batch:
    us = [run.us for run in runs if len(run.sizes) == size]
    p50, p99 = np.quantile(us, [0.5, 0.99])
    return Batch(size, round(float(p50), 1), round(float(p99), 1))
