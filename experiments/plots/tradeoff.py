"""Accuracy against burden: what each policy gets for what it sends, under the oracle's bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.plots.style import (
    INK,
    PALETTE,
    halo,
    headline,
    label_ends,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from experiments.oracle import Curve
    from experiments.statistics import Interval


class Point(NamedTuple):
    """One run of a policy: mean burden per prompt, accuracy, and what set it apart (β, …)."""

    burden: float
    accuracy: float
    interval: Interval | None = None
    setting: str = ""


class Family(NamedTuple):
    """A policy at several settings, joined by a line; one point is drawn as a mark."""

    name: str
    points: tuple[Point, ...]


def draw_tradeoff(
    families: Sequence[Family],
    bound: Curve,
    *,
    title: str,
    unit: str,
    alone: Sequence[Point] = (),
) -> Figure:
    """Draw the picture; ``alone`` has a point for each tier answering everything by itself.

    ``unit`` says what the burden is counted in, such as ``bytes per prompt``. A band is the 95 %
    interval of the accuracy.
    """
    with styled():
        figure = new_figure(9, 5.4)
        axes = figure.add_subplot()
        _limits(axes, families, bound, alone)
        _draw_bound(axes, bound)
        ends = [
            _draw_family(axes, family, PALETTE[index % len(PALETTE)])
            for index, family in enumerate(families)
        ]
        for point in alone:
            _draw_alone(axes, point)
        axes.set_xlabel(f"burden, {unit}")
        axes.set_ylabel("accuracy")
        axes.yaxis.set_major_formatter("{x:.0%}")
        headline(axes, title, "Up and to the left is better. Bands: 95 % of resampled prompts.")
        label_ends(axes, ends)
    return figure


def _limits(axes: Axes, families: Sequence[Family], bound: Curve, alone: Sequence[Point]) -> None:
    points = [point for family in families for point in family.points] + list(alone)
    reached = [point.accuracy for point in points] or list(bound.accuracy)
    low, high = min(reached), max([*reached, float(bound.accuracy[-1])])
    margin = (high - low) * 0.08 or 0.01
    axes.set_ylim(low - margin, high + margin)
    most = max([point.burden for point in points] or [float(bound.burden[-1])]) or 1.0
    axes.set_xlim(-0.02 * most, most * 1.04)


def _draw_bound(axes: Axes, bound: Curve) -> None:
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    burden = np.append(bound.burden, max(right, bound.burden[-1]))
    accuracy = np.append(bound.accuracy, bound.accuracy[-1])
    axes.fill_between(
        [axes.get_xlim()[0], burden[0], *burden],
        [axes.get_ylim()[0], axes.get_ylim()[0], *accuracy],
        top,
        color="#f1f1f1",
        linewidth=0,
        zorder=0,
    )
    axes.plot(burden, accuracy, color=INK, linewidth=1.4, linestyle=(0, (4, 2)))
    axes.annotate(
        "the bound: an oracle that knows which tier is right",
        (right, float(bound.accuracy[-1])),
        (-6, -12),
        textcoords="offset points",
        ha="right",
        color=INK,
        fontsize=9,
    )


def _draw_family(axes: Axes, family: Family, colour: str) -> tuple[float, float, str, str]:
    """Draw a line with its band and return where its name goes."""
    points = sorted(family.points)
    burden = [point.burden for point in points]
    accuracy = [point.accuracy for point in points]
    axes.plot(burden, accuracy, color=colour, marker="o", markersize=5, markeredgecolor="white")
    if len(points) > 1 and all(point.interval for point in points):
        low, high = zip(*(point.interval for point in points if point.interval), strict=True)
        axes.fill_between(burden, low, high, color=colour, alpha=0.12, linewidth=0)
    for point in points:
        if point.setting:
            axes.annotate(
                point.setting,
                (point.burden, point.accuracy),
                (0, -13),
                textcoords="offset points",
                ha="center",
                color=colour,
                fontsize=7.5,
                path_effects=halo(),
            )
    return burden[-1], accuracy[-1], family.name, colour


def _draw_alone(axes: Axes, point: Point) -> None:
    axes.plot(point.burden, point.accuracy, marker="D", markersize=7, color=INK, zorder=4)
    leftwards = point.burden > 0.8 * axes.get_xlim()[1]
    axes.annotate(
        point.setting,
        (point.burden, point.accuracy),
        (6, -20) if leftwards else (8, -13),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        fontsize=9,
        fontweight="bold",
        path_effects=halo(),
    )
