"""The section of docs/nights.md on classification, and its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from experiments.nights.classify.report import NEW
from experiments.plots.style import PALETTE, headline, label_ends, new_figure, percent, save, styled
from experiments.results.text import percents, table

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from experiments.nights.classify.figures import Estimate, KindFigures
    from experiments.nights.classify.report import ShiftReport

BEGIN: Final = "<!-- classification: written by `make nights-classify DATA=DIR` -->\n"
END: Final = "<!-- end of classification -->\n"
_POINTS: Final = 0.03
_SAVED: Final = 0.2


def section(report: ShiftReport) -> str:
    """Return the tables and verdicts, in Markdown."""
    orders = len(report.nights)
    over = f"the mean over {orders} orders of arrival" if orders > 1 else "one order of arrival"
    return (
        f"{_days(report)}\n"
        f"Measured on test rows; {over} (`--orders {orders}`):\n\n"
        f"{_kinds(report)}\n{_verdict(report)}\n\n{_cloud(report)}\n\n"
        "![Accuracy of the edge, and what it sends up, night by night](nights-classify.png)\n"
    )


def put(page: str, text: str) -> str:
    """Return the page with the section's text between its markers. Raises ``ValueError``."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks one of its markers, {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{text}{END}{after}"


def draw(report: ShiftReport, stem: Path) -> None:
    """Draw accuracy and what goes up, by kind of texts and night; writes stem.png alone."""
    with styled():
        figure = new_figure(10, 4.4)
        left, right = figure.subplots(1, 2)
        _lines(left, report, "accuracy")
        headline(left, "The edge alone", "share of test texts that it has right, 95 % intervals")
        _lines(right, report, "up")
        headline(right, "What it sends up", "at the final accuracy of the edge without nights")
    for path in save(figure, stem):
        if path.suffix == ".svg":
            path.unlink()


def _lines(axes: Axes, report: ShiftReport, what: str) -> None:
    ends = []
    for (kind, figures), colour in zip(_apart(report), PALETTE, strict=False):
        places = list(range(len(figures)))
        values = [f.accuracy.value if what == "accuracy" else f.up.contender for f in figures]
        axes.plot(places, values, color=colour, marker="o")
        if what == "accuracy":
            lows, highs = zip(*(f.accuracy.interval for f in figures), strict=True)
        else:
            lows, highs = zip(*(_up_interval(f) for f in figures), strict=True)
        axes.fill_between(places, lows, highs, color=colour, alpha=0.12, linewidth=0)
        ends.append((float(places[-1]), values[-1], kind, colour))
    names = [each.domain for each in report.nights[0]]
    axes.set_xticks(places, ["no night", *(f"night {n}\n{k}" for n, k in enumerate(names, 1))])
    percent(axes.yaxis)
    label_ends(axes, ends)


def _up_interval(figures: KindFigures) -> tuple[float, float]:
    low, high = figures.up.interval
    return figures.up.reference * (1 - high), figures.up.reference * (1 - max(low, -1.0))


def _apart(report: ShiftReport) -> list[tuple[str, list[KindFigures]]]:
    return [(kind, figures) for kind, figures in report.figures.items() if kind != NEW]


def _days(report: ShiftReport) -> str:
    lines = []
    for number, first in enumerate(report.nights[0]):
        held = [order[number] for order in report.nights]
        up = sum(each.to_cloud for each in held) / len(held)
        edge = sum(each.to_edge for each in held) / len(held)
        right = sum(each.labels_right for each in held) / len(held)
        verdicts = ", ".join(sorted({each.outcome.verdict for each in held}))
        passed = sum(each.outcome.verdict == "passed" for each in held)
        said = verdicts if passed in (0, len(held)) else f"{passed} of {len(held)} passed"
        lines.append(
            [
                f"{number + 1}, {first.domain}",
                f"{first.texts:,}",
                f"{edge:,.0f}",
                f"{up:,.0f}",
                f"{right:.1%}",
                said,
            ]
        )
    heads = ["day", "texts", "to the edge", "to the cloud", "labels right", "its night"]
    return table(heads, lines)


def _kinds(report: ShiftReport) -> str:
    lines = [
        [
            kind if not number else "",
            f"night {number}" if number else "no night",
            _percent(each.accuracy),
            _points(each.gain) if number else "",
            f"{each.auroc:.3f}",
            f"{each.up.contender:.1%}",
            percents(each.up),
        ]
        for kind, figures in report.figures.items()
        for number, each in enumerate(figures)
    ]
    heads = ["test texts", "after", "accuracy", "gain", "AUROC", "goes up", "saved"]
    return table(heads, lines)


def _verdict(report: ShiftReport) -> str:
    last, films = report.figures[NEW][-1], next(iter(report.figures.values()))[-1].gain
    forgot = films.interval.high < 0
    gained, saved = last.gain.value >= _POINTS, last.up.share >= _SAVED
    return (
        f"On the new kinds together three nights raise the accuracy by {_points(last.gain)} points, "
        f"and 3 were aimed at: {'reached' if gained else 'not reached'}. What goes up at equal final "
        f"accuracy falls by {percents(last.up)}, and 20 % were aimed at: "
        f"{'reached' if saved else 'not reached'}. Without nights the edge stays as it was, and so do "
        f"both figures. On films, where it began, they change the accuracy by {_points(films)} points"
        f"{', which is forgetting that the gates let pass' if forgot else ''}."
    )


def _cloud(report: ShiftReport) -> str:
    every, unsure = report.cloud[NEW]
    days = [night for order in report.nights for night in order[1:]]
    given = sum(night.to_cloud for night in days)
    right = sum(night.labels_right * night.to_cloud for night in days) / given
    return (
        f"The cloud itself has {every:.1%} of the new kinds right, and {unsure:.1%} of those that the edge is "
        f"the least sure of. Of the labels that the nights learned {right:.1%} were right: it was fitted to train rows of "
        "these sets, so a night's teacher is better here than it would be on texts that are new to it, too."
    )


def _percent(share: Estimate) -> str:
    low, high = share.interval
    return f"{share.value:.1%} [{low * 100:.1f}, {high * 100:.1f}]"


def _points(share: Estimate) -> str:
    low, high = share.interval
    return f"{share.value * 100:+.1f} [{low * 100:+.1f}, {high * 100:+.1f}]"
