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
    percent,
    styled,
    thin_out,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from experiments.evaluation.oracle import AccuracyCurve
    from shared.telemetry.intervals import Interval


class Point(NamedTuple):
    """One run of a policy: mean burden per prompt, accuracy, and what set it apart (β, …)."""

    burden: float
    accuracy: float
    interval: Interval | None = None
    setting: str = ""


class Family(NamedTuple):
    """A policy at several settings, joined by a line; a single point is drawn as a mark."""

    name: str
    points: tuple[Point, ...]


def draw_tradeoff(
    families: Sequence[Family],
    bound: AccuracyCurve | None,
    *,
    title: str,
    unit: str,
    measure: str = "accuracy",
    alone: Sequence[Point] = (),
) -> Figure:
    """Draw the picture, with the bound if there is one.

    ``alone`` has a point for each tier answering everything by itself.

    ``unit`` says what the burden is counted in, such as ``bytes per prompt``. The first line is
    the one the others are held against: it has a band, the 95 % interval of its accuracies, and
    its settings are written out where there is room; others have theirs at their ends.
    """
    lines = [family for family in families if len(family.points) > 1]
    with styled():
        figure = new_figure(9, 5.4)
        axes = figure.add_subplot()
        _limits(axes, families, bound, alone)
        if bound is not None:
            _draw_bound(axes, bound)
        for index, family in reversed(list(enumerate(lines))):
            _draw_line(axes, family, _colour(index), band=index == 0)
        fixed = [_draw_mark(axes, place, names) for place, names in _marks(families, alone)]
        axes.set_xlabel(f"burden, {unit}")
        axes.set_ylabel(measure)
        percent(axes.yaxis)
        note = "Up and to the left is better."
        if lines and _has_band(lines[0]):
            note += f" Band: 95 % interval of {lines[0].name}."
        headline(axes, title, note)
        label_ends(axes, [_end(family, _colour(index)) for index, family in enumerate(lines)])
        settings = [
            _write_setting(axes, point, _colour(index))
            for index, family in enumerate(lines)
            for point in _named_points(family, every=index == 0)
        ]
        thin_out(figure, settings, fixed)
    return figure


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _limits(
    axes: Axes, families: Sequence[Family], bound: AccuracyCurve | None, alone: Sequence[Point]
) -> None:
    points = [point for family in families for point in family.points] + list(alone)
    ends = [] if bound is None else [(float(bound.burden[-1]), float(bound.accuracy[-1]))]
    reached = [point.accuracy for point in points] or [accuracy for _, accuracy in ends]
    low, high = min(reached), max([*reached, *(accuracy for _, accuracy in ends)])
    margin = (high - low) * 0.08 or 0.01
    axes.set_ylim(low - margin, high + margin)
    most = max([point.burden for point in points] or [burden for burden, _ in ends]) or 1.0
    axes.set_xlim(-0.02 * most, most * 1.04)


def _draw_bound(axes: Axes, bound: AccuracyCurve) -> None:
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


def _has_band(family: Family) -> bool:
    return all(point.interval for point in family.points)


def _draw_line(axes: Axes, family: Family, colour: str, *, band: bool) -> None:
    points = sorted(family.points)
    burden = [point.burden for point in points]
    accuracy = [point.accuracy for point in points]
    axes.plot(
        burden,
        accuracy,
        color=colour,
        linewidth=2.2 if band else 1.5,
        marker="o",
        markersize=5 if band else 4,
        markeredgecolor="white",
        markeredgewidth=0.8,
    )
    if band and _has_band(family):
        low, high = zip(*(point.interval for point in points if point.interval), strict=True)
        axes.fill_between(burden, low, high, color=colour, alpha=0.12, linewidth=0)


def _end(family: Family, colour: str) -> tuple[float, float, str, str]:
    last = max(family.points)
    return last.burden, last.accuracy, family.name, colour


def _named_points(family: Family, *, every: bool) -> list[Point]:
    """Return the points whose settings are written: all, or those at the ends."""
    points = sorted(family.points)
    shown = points if every else [points[0], points[-1]]
    return [point for point in shown if point.setting]


def _write_setting(axes: Axes, point: Point, colour: str) -> Text:
    return axes.annotate(
        point.setting,
        (point.burden, point.accuracy),
        (0, -13),
        textcoords="offset points",
        ha="center",
        color=colour,
        fontsize=7.5,
        path_effects=halo(),
    )


def _marks(
    families: Sequence[Family], alone: Sequence[Point]
) -> list[tuple[tuple[float, float], str]]:
    """Return single points with their names; those that share a place share a mark."""
    names: dict[tuple[float, float], list[str]] = {}
    singles = [(family.points[0], family.name) for family in families if len(family.points) == 1]
    for point, name in [*((point, point.setting) for point in alone), *singles]:
        names.setdefault((round(point.burden, 6), round(point.accuracy, 6)), []).append(name)
    return [(place, " = ".join(shared)) for place, shared in names.items()]


def _draw_mark(axes: Axes, place: tuple[float, float], name: str) -> Text:
    axes.plot(*place, marker="D", markersize=7, color=INK, zorder=4)
    leftwards = place[0] > 0.8 * axes.get_xlim()[1]
    return axes.annotate(
        name,
        place,
        (6, -20) if leftwards else (8, -13),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        fontsize=9,
        fontweight="bold",
        path_effects=halo(),
    )
