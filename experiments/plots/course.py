"""The course of a replay: thresholds, and who answers, as the prompts arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.plots.style import (
    MUTED,
    TIER_COLOURS,
    headline,
    label_ends,
    new_figure,
    percent,
    styled,
)

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from experiments.evaluation.offline import Replay

_POINTS = 800
"""More points than this on a line only make the files larger."""


def draw_thresholds(replayed: Replay[Any], *, title: str) -> Figure:
    """Draw each escalating tier's threshold over the prompts; the top escalates nothing."""
    with styled():
        figure = new_figure(9, 4.2)
        axes = figure.add_subplot()
        ends = []
        for tier, answers in enumerate(replayed.matrix.tiers[:-1]):
            prompts = np.flatnonzero(replayed.seen[tier])
            if not len(prompts):
                continue
            thinned = prompts[:: max(1, len(prompts) // _POINTS)]
            threshold = replayed.threshold[tier]
            colour = TIER_COLOURS[tier % len(TIER_COLOURS)]
            axes.plot(thinned + 1, threshold[thinned], color=colour, linewidth=1.6)
            ends.append((float(len(replayed.tier)), threshold[prompts[-1]], answers.tier, colour))
        axes.set_ylabel("threshold")
        _finish(axes, replayed, title, "A prompt goes up when its confidence lies below the line.")
        label_ends(axes, ends)
    return figure


def draw_shares(replayed: Replay[Any], *, title: str, window_prompts: int | None = None) -> Figure:
    """Draw the share of the last ``window_prompts`` that each tier answered, stacked.

    The window is a twenty-fifth of the prompts when it is None.
    """
    prompts = len(replayed.tier)
    window = window_prompts or max(1, prompts // 25)
    shares = np.stack(
        [_moving_share(replayed.tier == tier, window) for tier in range(len(replayed.matrix.tiers))]
    )
    shown = np.unique(np.linspace(0, prompts - 1, min(prompts, _POINTS)).astype(int))
    with styled():
        figure = new_figure(9, 4.2)
        axes = figure.add_subplot()
        colours = [TIER_COLOURS[tier % len(TIER_COLOURS)] for tier in range(len(shares))]
        axes.stackplot(
            shown + 1, shares[:, shown], colors=colours, edgecolor="white", linewidth=0.6, alpha=0.8
        )
        axes.set_ylim(0, 1)
        axes.grid(visible=False)
        percent(axes.yaxis)
        axes.set_ylabel("answered by")
        _finish(
            axes, replayed, title, f"Of the last {window:,} prompts; in brackets, of all.", "white"
        )
        middles = np.cumsum(shares[:, -1]) - shares[:, -1] / 2
        names = [
            f"{answers.tier} ({share:.0%})"
            for answers, share in zip(replayed.matrix.tiers, replayed.share, strict=True)
        ]
        label_ends(
            axes,
            [(float(prompts), *end) for end in zip(middles, names, colours, strict=True)],
            gap_share=0.07,
        )
    return figure


def _moving_share(hits: NDArray[np.bool_], window: int) -> NDArray[np.float64]:
    """Return the share of hits among the last ``window`` rows, fewer at the beginning."""
    total = np.concatenate([[0], np.cumsum(hits)])
    end = np.arange(1, len(hits) + 1)
    start = np.maximum(end - window, 0)
    share: NDArray[np.float64] = (total[end] - total[start]) / (end - start)
    return share


def _finish(axes: Axes, replayed: Replay[Any], title: str, note: str, seam: str = MUTED) -> None:
    prompts = len(replayed.tier)
    axes.set_xlim(1, max(prompts, 2))
    axes.set_xlabel("prompts so far")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=False, axis="x")
    headline(axes, title, note)
    _mark_parts(axes, replayed, seam)


def _mark_parts(axes: Axes, replayed: Replay[Any], colour: str) -> None:
    """Say where one set ends and the next begins, when there are several."""
    parts = replayed.matrix.data.parts
    if len(parts) < 2:  # noqa: PLR2004 - one part has no seam
        return
    start = 0
    for part in parts:
        if start:
            axes.axvline(start + 0.5, color=colour, linewidth=1, linestyle=(0, (2, 2)))
        axes.annotate(
            part.name,
            (start + 1 + part.rows / 2, 0),
            (0, 5),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=8,
        )
        start += part.rows
