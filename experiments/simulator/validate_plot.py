"""How long prompts took, really and as planned: one small picture per replay."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from experiments.report.run import Played

_ACROSS = 3
_POINTS = 201


class Pair(NamedTuple):
    """A case's replays, and the plan of it."""

    name: str
    replayed: Sequence[Played]
    planned: Played


def draw_latencies(pairs: Sequence[Pair]) -> str:
    """Return an SVG: the share of prompts answered within a time, on a logarithmic axis."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only whoever draws needs it
    from matplotlib.ticker import LogLocator, NullFormatter  # noqa: PLC0415 - likewise

    down = -(-len(pairs) // _ACROSS)
    figure = Figure(figsize=(3.4 * _ACROSS, 2.6 * down), layout="constrained")
    grid = figure.subplots(down, _ACROSS, squeeze=False).ravel()
    for axes, pair in zip(grid, pairs, strict=False):
        for number, played in enumerate(pair.replayed):
            _draw(axes, played, "-", color="C0", label="_" if number else "replayed")
        _draw(axes, pair.planned, "--", color="C1", label="planned")
        axes.set_title(pair.name)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter("{x:,.5g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", labelsize="small")
        axes.set_xlabel("latency, ms")
        axes.set_ylim(0, 1)
    for axes in grid[len(pairs) :]:
        axes.set_axis_off()
    grid[0].set_ylabel("share answered")
    grid[0].legend()
    out = io.StringIO()
    figure.savefig(out, format="svg")
    return out.getvalue()


def _draw(axes: Axes, played: Played, line: str, *, color: str, label: str) -> None:
    shares = np.linspace(0, 1, _POINTS)
    latency_ms = np.quantile(played.latency_s * 1000, shares)
    axes.plot(latency_ms, shares, line, color=color, linewidth=1, label=label)
