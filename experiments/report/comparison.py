"""Two runs beside each other, and which differences exceed noise.

Each run is cut into segments of equal intended time. What happens within a segment hangs together
(queues, bursts, windows that fill), so whole segments are drawn, with replacement, and each figure
is taken anew over the prompts of the drawn segments: a block bootstrap. The difference of two runs
exceeds noise when its 95 % percentile interval does not hold 0. Where both runs played the same
prompts at the same times, the same segments are drawn in both, so that the trace's own ups and
downs cancel. With so many figures about one in twenty exceeds noise by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from experiments.report.run import Played

    Rows = NDArray[np.int64]
    Read = Callable[[Rows], float]

SEGMENTS: Final = 20
_FEWEST_SEGMENTS: Final = 5
_PROMPTS_PER_SEGMENT: Final = 10
_DRAWS: Final = 1000
_TAIL: Final = 0.025


class Difference(NamedTuple):
    """One figure of both runs, and how much larger the second one is, with its 95 % interval.

    ``exceeds_noise`` is None where there are too few segments, or draws, to say.
    """

    figure: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    exceeds_noise: bool | None


class Comparison(NamedTuple):
    """All figures; ``paired`` when the runs played the same prompts at the same times."""

    segments: int
    paired: bool
    differences: tuple[Difference, ...]


def compare(first: Played, second: Played, *, draws: int = _DRAWS, seed: int = 0) -> Comparison:
    """Compare two runs. Raises ``DataError`` when one has fewer than two prompts."""
    runs = (first, second)
    if any(len(played.records) < 2 for played in runs):  # noqa: PLR2004
        raise DataError("a run with fewer than two prompts cannot be compared with another")
    fewest = min(len(played.records) for played in runs)
    segments = int(np.clip(fewest // _PROMPTS_PER_SEGMENT, 1, SEGMENTS))
    paired = first.run.fingerprint == second.run.fingerprint and first.run.pace == "open"
    drawn = _draw([_segments(played, segments) for played in runs], draws, seed, paired=paired)
    tiers = tuple(dict.fromkeys([*first.tiers, *second.tiers]))
    figures = [_figures(played, tiers) for played in runs]
    return Comparison(
        segments,
        paired,
        tuple(
            _difference(name, [by_name[name] for by_name in figures], runs, drawn, segments)
            for name in figures[0]
            if name in figures[1]
        ),
    )


def _segments(played: Played, segments: int) -> list[Rows]:
    """Return the rows of each segment; empty ones are left where they are."""
    end_s = max(played.run.length_s, float(played.at_s.max())) or 1.0
    place = np.minimum((played.at_s / end_s * segments).astype(np.int64), segments - 1)
    return [np.flatnonzero(place == segment) for segment in range(segments)]


def _draw(cut: Sequence[list[Rows]], draws: int, seed: int, *, paired: bool) -> list[list[Rows]]:
    """Return the rows of each draw, for each run."""
    segments = len(cut[0])
    generator = np.random.default_rng(seed)
    chosen = [generator.integers(segments, size=(draws, segments)) for _ in cut]
    if paired:
        chosen[1] = chosen[0]
    return [
        [np.concatenate([rows[segment] for segment in draw]) for draw in draws_]
        for rows, draws_ in zip(cut, chosen, strict=True)
    ]


def _difference(
    name: str,
    reads: Sequence[Read],
    runs: Sequence[Played],
    drawn: Sequence[Sequence[Rows]],
    segments: int,
) -> Difference:
    values = [
        read(np.arange(len(played.records))) for read, played in zip(reads, runs, strict=True)
    ]
    if not np.isfinite(values).all():
        one, other = (value if np.isfinite(value) else None for value in values)
        return Difference(name, one, other, None, None, None, None)
    difference = values[1] - values[0]
    if segments < _FEWEST_SEGMENTS:
        return Difference(name, values[0], values[1], difference, None, None, None)
    spread = np.array([reads[1](b) - reads[0](a) for a, b in zip(*drawn, strict=True)])
    spread = spread[np.isfinite(spread)]
    if len(spread) < len(drawn[0]) // 2:
        return Difference(name, values[0], values[1], difference, None, None, None)
    low, high = (float(value) for value in np.quantile(spread, [_TAIL, 1 - _TAIL]))
    return Difference(name, values[0], values[1], difference, low, high, not low <= 0 <= high)


def _figures(played: Played, tiers: Sequence[str]) -> dict[str, Read]:
    """Return how each figure of a run is taken over some of its rows; NaN where it cannot be."""
    latency_ms = played.latency_s * 1000
    there = ~played.lost
    sent_bytes = np.array([sum(record.packet_bytes.values()) for record in played.records])
    figures: dict[str, Read] = {
        f"latency {name}, ms": _quantile(latency_ms, there, share)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    }
    for tier in tiers:
        mine = played.by(tier)
        figures[f"p50 of {tier}, ms"] = _quantile(latency_ms, mine, 0.5)
    for tier in tiers:
        figures[f"by {tier}, %"] = _percent(played.by(tier), played.answered)
    figures["right answers, %"] = _percent(played.right, played.labelled)
    if played.written.any():
        figures["chrF of texts"] = _mean(played.chrf, ~np.isnan(played.chrf))
        figures["tokens of an answer"] = _mean(played.tokens[:, 1], played.written)
    everything = np.ones(len(played.records), bool)
    figures["errors, %"] = _percent(played.failed, everything)
    figures["degraded, %"] = _percent(played.degraded, everything)
    figures["bytes per prompt"] = _mean(sent_bytes, everything)
    figures["lateness p99, ms"] = _quantile(played.lateness_s * 1000, everything, 0.99)
    return figures


def _quantile(values: NDArray[Any], among: NDArray[np.bool_], share: float) -> Read:
    def read(rows: Rows) -> float:
        chosen = values[rows[among[rows]]]
        return float(np.quantile(chosen, share)) if len(chosen) else float("nan")

    return read


def _mean(values: NDArray[Any], among: NDArray[np.bool_]) -> Read:
    def read(rows: Rows) -> float:
        chosen = values[rows[among[rows]]]
        return float(chosen.mean()) if len(chosen) else float("nan")

    return read


def _percent(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Read:
    return _mean(100.0 * hits, among)
