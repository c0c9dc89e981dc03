"""The study in pictures: by load, pair by pair, over time, and the trap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.placement.study import OURS, POLICIES, part
from experiments.plots.style import (
    INK,
    MUTED,
    PALETTE,
    headline,
    label_ends,
    new_figure,
    percent,
    save,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from experiments.placement.study import PlacementStudy

_SHOWN: Final = {
    OURS: PALETTE[0],
    "oracle": INK,
    "learned": PALETTE[5],
    "thompson": PALETTE[2],
    "greedy": PALETTE[4],
    "shortest-queue": PALETTE[3],
    "round-robin": MUTED,
    "dqn": PALETTE[1],
}
_SMOOTHED_ROUNDS: Final = 21


def draw_all(
    study: PlacementStudy, report: Mapping[str, Any], middle: float, folder: Path
) -> list[Path]:
    """Draw every picture; return the files."""
    figures = {
        "utility": _by_load(report),
        "pairs": _pairs(report),
        "course": _course(study, middle),
        "trap": _trap(report),
    }
    return [path for name, figure in figures.items() for path in save(figure, folder / name)]


def _by_load(report: Mapping[str, Any]) -> Figure:
    """Draw the mean worth of a job over the arrival rate, a line for each policy."""
    found = report["rates"]
    rates = [float(rate) for rate in found]
    with styled():
        figure = new_figure(8, 4.8)
        axes = figure.add_subplot()
        ends = []
        for policy, colour in _SHOWN.items():
            worth = [found[rate]["policies"][policy]["utility"] for rate in found]
            style = "--" if policy == "oracle" else "-"
            axes.plot(rates, worth, style, color=colour, marker="o", markersize=4)
            ends.append((rates[-1], worth[-1], policy, colour))
        axes.set_xticks(rates)
        axes.set_xlabel("jobs a round of 4 s")
        axes.set_ylabel("worth of a job")
        headline(axes, "What a job is worth under each policy", "Up is better; the oracle is told.")
        label_ends(axes, ends)
    return figure


def _pairs(report: Mapping[str, Any]) -> Figure:
    """Draw by how much active inference is ahead of each policy, with intervals, for each load."""
    found = report["rates"]
    others = [policy for policy in POLICIES if policy != OURS]
    with styled():
        figure = new_figure(9.5, 4.6)
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, rate in zip(panels, found, strict=True):
            policies = found[rate]["policies"]
            for place, policy in enumerate(reversed(others)):
                low, high = policies[policy]["interval"]
                sure = PALETTE[0] if low > 0 else PALETTE[1] if high < 0 else MUTED
                axes.plot([low, high], [place, place], color=sure)
                axes.plot(policies[policy]["difference"], place, "o", color=sure, markersize=5)
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.set_yticks(range(len(others)), list(reversed(others)))
            axes.set_xlabel(f"at {rate} jobs a round")
        figure.suptitle(
            "By how much a job is worth more under active inference, on the same worlds\n"
            "Means and 95 % intervals over worlds; blue where it is surely ahead.",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


def _course(study: PlacementStudy, middle: float) -> Figure:
    """Draw the worth of a job over the rounds, where half-way the world changes."""
    shown = (OURS, "oracle", "greedy", "shortest-queue", "dqn")
    with styled():
        figure = new_figure(9, 4.6)
        axes = figure.add_subplot()
        ends = []
        for policy in shown:
            courses = np.array(
                [each.course for each in study.scores[part("weighted", middle), policy]]
            )
            line = _smooth(np.nanmean(courses, axis=0))
            style = "--" if policy == "oracle" else "-"
            axes.plot(line, style, color=_SHOWN[policy], linewidth=1.6)
            ends.append((float(len(line) - 1), float(line[-1]), policy, _SHOWN[policy]))
        axes.axvline(courses.shape[1] // 2, color=MUTED, linewidth=1, linestyle=":")
        axes.set_xlabel("round")
        axes.set_ylabel("worth of a job")
        headline(
            axes,
            "Learning a fleet, and learning it again",
            "At the dotted line the two fastest nodes become 2.5 times slower; other jobs come.",
        )
        label_ends(axes, ends)
    return figure


def _trap(report: Mapping[str, Any]) -> Figure:
    """Draw how often the better of two choices is found, over what information is worth."""
    weights = [key for key in report["trap"] if key.replace(".", "").isdigit()]
    shares = [report["trap"][weight]["of_many_seeds"] for weight in weights]
    with styled():
        figure = new_figure(6.5, 3.6)
        axes = figure.add_subplot()
        axes.bar(weights, shares, color=PALETTE[0], width=0.6)
        axes.set_ylim(0, 1)
        percent(axes.yaxis)
        axes.set_xlabel("worth of a nat of information, β")
        headline(
            axes,
            "A good choice that looks bad at first",
            f"Share of {report['trap']['many_seeds']} seeds that come to use it mostly.",
        )
    return figure


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the rounds around each, as far as there are any."""
    kernel = np.ones(min(_SMOOTHED_ROUNDS, len(values)))
    total = np.convolve(np.nan_to_num(values), kernel, mode="same")
    count = np.convolve(~np.isnan(values), kernel, mode="same")
    mean: NDArray[np.float64] = total / np.maximum(count, 1)
    return mean
