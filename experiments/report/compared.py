"""Shows a comparison of two runs: as a table, as JSON, and as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.grid import Grid
from experiments.plots.style import MUTED, PALETTE, headline, label_ends, new_figure, percent
from experiments.report.axes import few_ticks
from experiments.report.figures import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from experiments.report.comparison import Comparison, Difference
    from experiments.report.run import Played

_POINTS: Final = 600
_TO: Final = "\u00a0…\u00a0"  # an interval is not broken
_VERDICTS: Final = {True: "yes", False: "no", None: "too little to say"}


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values."""
    return {
        "method": method(comparison),
        "segments": comparison.segments,
        "paired": comparison.paired,
        "figures": [difference._asdict() for difference in comparison.differences],
    }


def method(comparison: Comparison) -> str:
    """Say how noise was told from difference."""
    pairs = (
        "the same segments of both, since both played the same prompts at the same times"
        if comparison.paired
        else "segments of each by itself"
    )
    return (
        f"Each run cut into {comparison.segments} segments of equal time; 95 % intervals of the "
        f"difference from a block bootstrap that draws {pairs}. A difference exceeds noise when "
        "its interval does not hold 0; of twenty figures one does so by chance."
    )


def grid(comparison: Comparison, names: Sequence[str]) -> Grid:
    """Return the table; rows whose difference exceeds noise are noticed."""
    rows = [
        (
            found.figure,
            _number(found.first),
            _number(found.second),
            _signed(found.difference),
            "–" if found.low is None else f"{_signed(found.low)}{_TO}{_signed(found.high)}",
            _VERDICTS[found.exceeds_noise],
        )
        for found in comparison.differences
    ]
    noticed = frozenset(
        place for place, found in enumerate(comparison.differences) if found.exceeds_noise
    )
    columns = ("figure", *names, "difference", "95 % interval", "beyond noise")
    return Grid("Side by side", columns, rows, noticed)


def draw_comparison(
    comparison: Comparison, runs: Sequence[Played], names: Sequence[str]
) -> list[Picture]:
    """Return the pictures; call it under ``experiments.plots.style.styled``."""
    return [_latencies(runs, names), _shares(runs, names), _forest(comparison)]


def _latencies(runs: Sequence[Played], names: Sequence[str]) -> Picture:
    figure = new_figure(8.2, 3.0)
    axes = figure.add_subplot()
    ends = []
    for played, name, colour in zip(runs, names, PALETTE, strict=False):
        latency_ms = np.sort(played.latency_s[~played.lost]) * 1000
        share = np.arange(1, len(latency_ms) + 1) / len(latency_ms)
        shown = np.unique(np.linspace(0, len(share) - 1, min(len(share), _POINTS)).astype(int))
        axes.plot(np.maximum(latency_ms[shown], 0.01), share[shown], color=colour)
        ends.append((float(latency_ms[-1]), 1.0, name, colour))
    axes.set_xscale("log")
    few_ticks(axes.xaxis)
    axes.set_ylim(0, 1.02)
    percent(axes.yaxis)
    axes.set_xlabel("ms from the intended time to the result")
    axes.set_ylabel("results within")
    headline(axes, "Latency")
    label_ends(axes, ends, gap_share=0.1)
    return Picture("latency", figure, "Distribution of the latency in both runs.")


def _shares(runs: Sequence[Played], names: Sequence[str]) -> Picture:
    tiers = tuple(dict.fromkeys(tier for played in runs for tier in played.tiers))
    figure = new_figure(8.2, 3.0)
    axes = figure.add_subplot()
    width = 0.8 / len(runs)
    for place, (played, name) in enumerate(zip(runs, names, strict=True)):
        answered = max(int(played.answered.sum()), 1)
        shares = [played.by(tier).sum() / answered for tier in tiers]
        at = np.arange(len(tiers)) + (place - (len(runs) - 1) / 2) * width
        axes.bar(at, shares, width * 0.94, color=PALETTE[place], label=name)
    axes.set_xticks(range(len(tiers)), tiers)
    percent(axes.yaxis)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False)
    headline(axes, "Who answered")
    return Picture("shares", figure, "Share of the answers that each tier gave, in both runs.")


def _forest(comparison: Comparison) -> Picture:
    """Draw each difference with its interval, as a share of the first run's figure."""
    shown = [found for found in comparison.differences if found.first and found.low is not None]
    figure = new_figure(8.2, 1.2 + 0.32 * max(len(shown), 1))
    axes = figure.add_subplot()
    for place, found in enumerate(shown):
        _whisker(axes, place, found)
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_yticks(range(len(shown)), [found.figure.partition(",")[0] for found in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    percent(axes.xaxis)
    headline(
        axes,
        "Differences",
        "Second run less the first, as a share of the first; bold: beyond noise.",
    )
    return Picture("differences", figure, "Relative differences with 95 % intervals.")


def _whisker(axes: Axes, place: int, found: Difference) -> None:
    assert found.first and found.low is not None  # noqa: PT018, S101 - chosen so
    assert found.high is not None  # noqa: S101 - as above
    assert found.difference is not None  # noqa: S101 - as above
    colour = PALETTE[1] if found.exceeds_noise else MUTED
    width = 2.6 if found.exceeds_noise else 1.4
    scale = abs(found.first)
    axes.plot([found.low / scale, found.high / scale], [place] * 2, color=colour, linewidth=width)
    axes.plot([found.difference / scale], [place], "o", color=colour, markersize=6)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+,.2f}"
