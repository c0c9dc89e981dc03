"""The pictures of a study of hotspots: what each system saves, and how that goes by the day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from experiments.hotspot.study import OURS

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.hotspot.study import HotspotReport

_LINES: Final = ("all-cloud", "routellm-like", "gptcache-0.90", "ic-cache-like", OURS)
_SHOWN: Final = 0.8
"""Who is right less often saves nothing."""
_COLOURS: Final = ("#888888", "#b07aa1", "#f28e2b", "#4e79a7", "#c0392b")


def draw(report: HotspotReport, folder: Path) -> list[Path]:
    """Write the pictures into a folder, and return their files."""
    mpl.rcParams["svg.hashsalt"] = "hotspot"
    folder.mkdir(parents=True, exist_ok=True)
    return [_tradeoff(report, folder / "tradeoff.png"), _by_day(report, folder / "by-day.png")]


def _tradeoff(report: HotspotReport, path: Path) -> Path:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    shown = [
        (name, system)
        for name, system in sorted(report.systems.items(), key=lambda item: item[1].cloud_calls)
        if not name.startswith(f"{OURS},") and system.accuracy >= _SHOWN
    ]
    for name, system in shown:
        share, right = 100 * system.cloud_calls / report.questions, 100 * system.accuracy
        marker, size = ("*", 220) if name == OURS else ("o", 70)
        axes.scatter(share, right, s=size, marker=marker, label=name)
    axes.set_xlabel("questions that the cloud was asked (%)")
    axes.set_ylabel("answered right (%)")
    axes.set_title("Further left is cheaper, further up is better")
    axes.set_xlim(0, 105)
    axes.margins(y=0.2)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    figure.savefig(path, dpi=110)
    return path


def _by_day(report: HotspotReport, path: Path) -> Path:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, colour in zip(_LINES, _COLOURS, strict=True):
        if name in report.systems:
            calls = report.systems[name].cloud_calls_by_day
            axes.plot(range(1, len(calls) + 1), calls, marker="o", color=colour, label=name)
    axes.set_xlabel("day")
    axes.set_ylabel("cloud calls")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    figure.savefig(path, dpi=110)
    return path
