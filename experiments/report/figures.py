"""The pictures of a run, each drawn from its report's series; a picture without data is left out.

Call these under ``experiments.plots.style.styled``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from experiments.plots.style import MUTED, PALETTE, headline, label_ends, new_figure, percent
from experiments.report.axes import (
    SIZE_IN,
    Report,
    Series,
    draw_lines,
    few_ticks,
    floats,
    middles,
    short,
    tier_colours,
    time_axes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from experiments.report.run import Played

_BAD: Final = "#D55E00"
_SECOND_BEST: Final = "#E69F00"
_POINTS: Final = 600

Values = list[float | None]


class Picture(NamedTuple):
    """A figure with its short name, and a sentence for those who cannot see it."""

    name: str
    figure: Figure
    said: str


def draw_run(played: Played, report: Report) -> list[Picture]:
    """Return the pictures of a run in the order of the page."""
    series = report["series"]
    drawn = [
        _arrivals(played, report),
        _shares(played, report),
        _thresholds(played, report),
        _latencies(played),
        _latency_over_time(report),
        _lateness(played, report),
        _by_name(report, series["link_bytes_per_s"], _BURDEN),
        _by_name(report, series["queue_ms"], _QUEUES),
        _by_name(report, series["batch_prompts"], _BATCHES),
        _errors(report),
        _accuracy(report),
    ]
    return [picture for picture in drawn if picture is not None]


class _Words(NamedTuple):
    name: str
    title: str
    note: str
    unit: str


_BURDEN = _Words(
    "burden",
    "Burden per link",
    "Bytes of MQTT packets in both directions, as the agents counted them.",
    "bytes per second",
)
_QUEUES = _Words(
    "queues", "Waits for the model", "Mean over the prompts of each agent.", "ms in the queue"
)
_BATCHES = _Words(
    "batches", "Batch sizes", "Mean over the model runs of each agent.", "prompts per model run"
)


def _arrivals(played: Played, report: Report) -> Picture:
    series = report["series"]
    figure, axes = time_axes(report, "prompts per second")
    note = "How many prompts a second went out, and how many results came back."
    if played.run.pace == "open":
        intended = series["intended_per_s"]
        axes.fill_between(middles(report), intended, color=MUTED, alpha=0.2, linewidth=0)
        note = "Grey: as the trace intends."
    for found in report["saturation"]:
        axes.axvspan(found["begin_s"], found["end_s"], color=_BAD, alpha=0.1, linewidth=0)
        note = "Grey: as the trace intends. Red bands: saturated."
    lines = [
        Series("completed", series["completed_per_s"], PALETTE[2]),
        Series("sent", series["sent_per_s"], PALETTE[0]),
    ]
    draw_lines(axes, report, lines, from_zero=True)
    headline(axes, "Arrivals and completions", note)
    return Picture("arrivals", figure, "Prompts intended, sent and completed per second.")


def _shares(played: Played, report: Report) -> Picture:
    shares = np.nan_to_num(
        np.array([floats(report["series"]["share"][tier]) for tier in played.tiers])
    )
    figure, axes = time_axes(report, "answered by")
    colours = tier_colours(played.tiers)
    x = middles(report)
    axes.stackplot(x, shares, colors=colours, edgecolor="white", linewidth=0.5, alpha=0.85)
    axes.set_ylim(0, 1)
    axes.grid(visible=False)
    percent(axes.yaxis)
    headline(axes, "Who answered", "In brackets: of all answers.")
    ends = np.cumsum(shares[:, -1]) - shares[:, -1] / 2
    label_ends(
        axes,
        [
            (float(x[-1]), float(end), f"{tier} ({report['tiers'][tier]['share']:.0%})", colour)
            for tier, end, colour in zip(played.tiers, ends, colours, strict=True)
        ],
        gap_share=0.1,
    )
    return Picture("shares", figure, "Share of the answers that each tier gave, over time.")


def _thresholds(played: Played, report: Report) -> Picture | None:
    series: Mapping[str, Mapping[str, Values]] = report["series"]["threshold"]
    if not series:
        return None
    figure, axes = time_axes(report, "threshold")
    colours = dict(zip(played.tiers, tier_colours(played.tiers), strict=True))
    x = middles(report)
    for tier, bands in series.items():
        low, high = floats(bands["p10"]), floats(bands["p90"])
        axes.fill_between(x, low, high, color=colours[tier], alpha=0.15, linewidth=0)
    draw_lines(axes, report, [Series(tier, b["p50"], colours[tier]) for tier, b in series.items()])
    headline(axes, "Thresholds", "Median over all windows of a tier; shaded: the middle 80 %.")
    return Picture("thresholds", figure, "Threshold of each escalating tier over time.")


def _latencies(played: Played) -> Picture:
    """Draw the share of each tier's answers that came within a time."""
    figure = new_figure(*SIZE_IN)
    axes = figure.add_subplot()
    ends = []
    for tier, colour in zip(played.tiers, tier_colours(played.tiers), strict=True):
        latency_ms = np.sort(played.latency_s[played.by(tier)]) * 1000
        if not len(latency_ms):
            continue
        share = np.arange(1, len(latency_ms) + 1) / len(latency_ms)
        shown = np.unique(np.linspace(0, len(share) - 1, min(len(share), _POINTS)).astype(int))
        axes.plot(np.maximum(latency_ms[shown], 0.01), share[shown], color=colour)
        median = float(np.median(latency_ms))
        ends.append((float(latency_ms[-1]), 1.0, f"{tier}, median {short(median)} ms", colour))
    axes.set_xscale("log")
    few_ticks(axes.xaxis)
    axes.set_ylim(0, 1.02)
    percent(axes.yaxis)
    axes.set_xlabel("ms from the intended time to the result")
    axes.set_ylabel("answers within")
    headline(axes, "Latency by tier")
    label_ends(axes, ends, gap_share=0.1)
    return Picture("latency", figure, "Distribution of the latency of each tier's answers.")


def _latency_over_time(report: Report) -> Picture:
    series = report["series"]["latency_ms"]
    figure, axes = time_axes(report, "ms to the result")
    axes.set_yscale("log")
    few_ticks(axes.yaxis)
    lines = [Series("p99", series["p99"], PALETTE[1]), Series("p50", series["p50"], PALETTE[0])]
    draw_lines(axes, report, lines)
    headline(axes, "Latency over time", "Counted from the moment a prompt was intended for.")
    return Picture("latency-over-time", figure, "Median and 99th percentile of the latency.")


def _lateness(played: Played, report: Report) -> Picture | None:
    if played.run.pace == "closed":
        return None
    series = report["series"]["lateness_ms"]
    figure, axes = time_axes(report, "ms late")
    lines = [Series("p99", series["p99"], PALETTE[3]), Series("p50", series["p50"], PALETTE[0])]
    draw_lines(axes, report, lines, from_zero=True)
    headline(axes, "How late the generator sends", "Beside the time that the trace intends.")
    return Picture("lateness", figure, "Lateness of the load generator itself.")


def _by_name(report: Report, series: Mapping[str, Values], words: _Words) -> Picture | None:
    if not series:
        return None
    figure, axes = time_axes(report, words.unit)
    lines = [
        Series(name, values, PALETTE[index % len(PALETTE)])
        for index, (name, values) in enumerate(series.items())
    ]
    draw_lines(axes, report, lines, from_zero=True)
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.6g}")
    headline(axes, words.title, words.note)
    return Picture(words.name, figure, f"{words.title} over time: {words.unit}.")


def _errors(report: Report) -> Picture | None:
    series = report["series"]
    if not (any(series["errors"]) or any(series["degraded"])):
        return None
    figure, axes = time_axes(report, "prompts")
    x, width_s = middles(report), series["bin_s"] * 0.9
    axes.bar(x, series["degraded"], width_s, color=_SECOND_BEST, label="degraded answers")
    axes.bar(x, series["errors"], width_s, series["degraded"], color=_BAD, label="errors")
    axes.legend(frameon=False, loc="upper right", ncols=2)
    headline(axes, "Errors and degraded answers", "By the moment the prompt was intended for.")
    return Picture("errors", figure, "Errors and degraded answers over time.")


def _accuracy(report: Report) -> Picture | None:
    rows = {"all": report["accuracy"]}
    rows |= {tier: figures["accuracy"] for tier, figures in report["tiers"].items()}
    known = {name: row for name, row in rows.items() if row}
    if not known:
        return None
    figure = new_figure(SIZE_IN[0], 1.2 + 0.4 * len(known))
    axes = figure.add_subplot()
    for place, row in enumerate(known.values()):
        low, high = row["interval_95"]
        axes.plot([low, high], [place, place], color=MUTED, linewidth=2)
        axes.plot([row["share"]], [place], "o", color=PALETTE[0], markersize=7)
        axes.annotate(
            f"{row['share']:.1%} of {row['labelled']:,}",
            (high, place),
            (8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(known)), list(known))
    axes.invert_yaxis()
    axes.margins(x=0.25, y=0.2)
    axes.grid(visible=False, axis="y")
    percent(axes.xaxis)
    headline(axes, "Right answers", "Where the true label is known; lines: 95 % intervals.")
    return Picture("accuracy", figure, "Share of right answers, overall and by tier.")
