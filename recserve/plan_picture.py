"""How long prompts took, really and as planned: one small picture per replay."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from experiments.report.run import Played

_ACROSS = 3


def draw_latencies(pairs: Sequence[tuple[str, Played, Played]]) -> str:
    """Return an SVG: the share of prompts answered within a time, on a logarithmic axis.

    ``pairs`` are of (name, run, plan).
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only whoever draws needs it

    down = -(-len(pairs) // _ACROSS)
    figure = Figure(figsize=(3.4 * _ACROSS, 2.6 * down), layout="constrained")
    grid = figure.subplots(down, _ACROSS, squeeze=False).ravel()
    for axes, (name, real, planned) in zip(grid, pairs, strict=False):
        _draw(axes, real.latency_s * 1000, "replayed", "-")
        _draw(axes, planned.latency_s * 1000, "planned", "--")
        axes.set_title(name)
        axes.set_xscale("log")
        axes.set_xlabel("latency, ms")
        axes.set_ylim(0, 1)
    for axes in grid[len(pairs) :]:
        axes.set_axis_off()
    grid[0].set_ylabel("share answered")
    grid[0].legend()
    out = io.StringIO()
    figure.savefig(out, format="svg")
    return out.getvalue()


def _draw(axes: Axes, latency_ms: np.ndarray, label: str, line: str) -> None:
    ordered = np.sort(latency_ms)
    axes.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), line, label=label)
