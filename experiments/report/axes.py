"""What the pictures of a report share: axes over time, named lines, plain numbers on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from experiments.plots.style import TIER_COLOURS, label_ends, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

SIZE_IN: Final = (8.2, 3.0)

Report = dict[str, Any]


class Series(NamedTuple):
    """A named line over time."""

    name: str
    values: Sequence[float | None]
    colour: str


def time_axes(report: Report, unit: str) -> tuple[Figure, Axes]:
    """Return an empty figure over the seconds of the run; ``unit`` names what goes up."""
    figure = new_figure(*SIZE_IN)
    axes = figure.add_subplot()
    series = report["series"]
    axes.set_xlim(0, series["begin_s"][-1] + series["bin_s"])
    axes.set_xlabel("seconds of the run")
    axes.set_ylabel(unit)
    axes.grid(visible=False, axis="x")
    return figure, axes


def draw_lines(
    axes: Axes, report: Report, lines: Sequence[Series], *, from_zero: bool = False
) -> None:
    """Draw lines over time and name each at its last value."""
    x = middles(report)
    ends = []
    for line in lines:
        values = floats(line.values)
        marker = "o" if np.isfinite(values).sum() <= 1 else ""
        axes.plot(x, values, color=line.colour, linewidth=1.6, marker=marker, markersize=4)
        there = np.flatnonzero(np.isfinite(values))
        if len(there):
            last = there[-1]
            ends.append((float(x[last]), float(values[last]), line.name, line.colour))
    axes.set_ylim(*((0, 1.05 * axes.get_ylim()[1]) if from_zero else axes.get_ylim()))
    if axes.get_yscale() == "linear":
        label_ends(axes, ends, gap_share=0.1)
        return
    for x_end, y_end, name, colour in ends:
        axes.annotate(
            name, (x_end, y_end), (6, 0), textcoords="offset points", color=colour, va="center"
        )


def few_ticks(axis: Axis) -> None:
    """Mark a logarithmic axis at 1, 2, 5, 10 …, in plain numbers."""
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 - heavy

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _place: short(value))


def middles(report: Report) -> np.typing.NDArray[np.float64]:
    """Return the middle of every bin, in seconds of the run."""
    series = report["series"]
    middles: np.typing.NDArray[np.float64] = np.array(series["begin_s"]) + series["bin_s"] / 2
    return middles


def floats(values: Sequence[float | None]) -> np.typing.NDArray[np.float64]:
    """Return values to draw: a gap where there is none."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def tier_colours(tiers: Sequence[str]) -> list[str]:
    """Return the colour of each tier, from the device up."""
    return [TIER_COLOURS[index % len(TIER_COLOURS)] for index in range(len(tiers))]


def short(value: float) -> str:
    """Return a number as it stands beside an axis."""
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"  # noqa: PLR2004
