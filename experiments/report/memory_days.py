"""The days of an edge that remembers: a table, pictures and one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edge_agent.memory.checks import wrong_share
from experiments.grid import Grid
from experiments.report.page import KeyFigure, write_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.report.figures import Picture

WAYS: Final = {
    "memory": "memory",
    "examples": "edge with examples",
    "model": "edge alone",
    "cloud": "cloud",
}
_COLOURS: Final = ("#009E73", "#E69F00", "#0072B2", "#D55E00")


def day_grids(days: Sequence[Mapping[str, Any]]) -> list[Grid]:
    """Return a row for each day: who answered, how soon, at what cost, and how often wrong."""
    who = ("day", "questions", *WAYS.values(), "cloud calls")
    what = ("day", "read above", "written above", "cost", "checked", "wrong, 95 %", "entries")
    return [
        Grid("Who answered", who, [_who(day) for day in days]),
        Grid(
            "How long an answer took, p50 / p95 ms",
            ("day", *WAYS.values()),
            [_took(day) for day in days],
        ),
        Grid(
            "What it cost, and how often it was wrong",
            (*what, "learned"),
            [_what(day) for day in days],
        ),
    ]


def accuracy_grid(graded: Mapping[str, tuple[int, int]]) -> Grid:
    """Return how many answers of each way were right, of those whose right answer is known."""
    rows = [
        (WAYS.get(way, way), f"{count}", f"{right / count:.1%}")
        for way, (right, count) in graded.items()
        if count
    ]
    return Grid("Right, where that is known", ("from", "answers", "right"), rows)


def gate_grid(days: Sequence[Mapping[str, Any]]) -> Grid:
    """Return what each night came to, as it told."""
    rows = [
        (day["day"], ", ".join(f"{name} {value}" for name, value in night.items()))
        for day in days
        for night in day["nights"]
    ]
    return Grid("Nights", ("day", "gates"), rows)


def day_page(
    where: str,
    days: Sequence[Mapping[str, Any]],
    pictures: Sequence[Picture],
    graded: Mapping[str, tuple[int, int]] | None = None,
) -> str:
    """Return the page."""
    questions = sum(day["questions"] for day in days)
    calls = sum(day["cloud_calls"] for day in days)
    reused = sum(day["ways"]["memory"] + day["ways"]["examples"] for day in days)
    checked, wrong = (sum(day[name] for day in days) for name in ("checked", "wrong"))
    share = wrong_share(checked - wrong, wrong)
    cards = [
        KeyFigure(f"{questions:,}", "questions"),
        KeyFigure(_share(calls, questions), "went up"),
        KeyFigure(_share(reused, questions), "answered from memory, or after examples"),
        KeyFigure(f"{sum(day['cost'] for day in days):.4f}", "cost of the tokens"),
        KeyFigure(
            f"{share.low:.1%} to {share.high:.1%}",
            f"of remembered answers are wrong: {wrong} of {checked} checks (95 %)",
            bad=wrong > 0,
        ),
    ]
    grids = day_grids(days)
    if graded:
        grids.append(accuracy_grid(graded))
    if any(day["nights"] for day in days):
        grids.append(gate_grid(days))
    began = f"{days[0]['day']} to {days[-1]['day']}" if days else "no day yet"
    return write_page(
        f"What {where} remembered", began, cards=cards, grids=grids, pictures=pictures
    )


def draw_days(days: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Return the pictures: who answered, and how often a remembered answer was wrong."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    from experiments.plots.style import styled  # noqa: PLC0415 - optional
    from experiments.report.figures import Picture  # noqa: PLC0415 - optional

    names = [str(day["day"]).removeprefix("20") for day in days]
    with styled():
        shares = Figure(figsize=(8, 3.6), layout="constrained")
        axes = shares.subplots()
        bottom = [0.0] * len(days)
        for (way, label), colour in zip(WAYS.items(), _COLOURS, strict=True):
            heights = [day["ways"][way] for day in days]
            axes.bar(names, heights, bottom=bottom, color=colour, label=label, width=0.7)
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
        axes.set_ylabel("questions")
        axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        wrong = Figure(figsize=(8, 3.0), layout="constrained")
        axes = wrong.subplots()
        for place, day in enumerate(days):
            share = day["wrong_share"]
            if day["checked"]:
                axes.plot([place] * 2, [100 * share["low"], 100 * share["high"]], color="#767676")
                axes.plot(place, 100 * share["mean"], "o", color="#D55E00", clip_on=False)
        axes.set_xticks(range(len(days)), names)
        axes.set_ylim(0, 100)
        axes.set_ylabel("wrong, of those checked (%)")
        for figure in (shares, wrong):
            figure.axes[0].tick_params(axis="x", rotation=30 if len(days) > _UPRIGHT else 0)
    said = "questions of each day by who answered them"
    wronged = "share of checked remembered answers that were wrong, with its 95 % interval"
    return [Picture("ways", shares, said), Picture("wrong", wrong, wronged)]


_UPRIGHT: Final = 5


def _who(day: Mapping[str, Any]) -> tuple[str, ...]:
    shares = (_share(day["ways"][way], day["questions"]) for way in WAYS)
    return (day["day"], f"{day['questions']:,}", *shares, f"{day['cloud_calls']:,}")


def _took(day: Mapping[str, Any]) -> tuple[str, ...]:
    took = [day["took_ms"].get(way) for way in WAYS]
    return (
        day["day"],
        *(f"{its['p50']:,.1f} / {its['p95']:,.1f}" if its else "–" for its in took),
    )


def _what(day: Mapping[str, Any]) -> tuple[str, ...]:
    share, tokens = day["wrong_share"], day["tokens"]
    interval = f"{share['low']:.1%} to {share['high']:.1%}" if day["checked"] else "–"
    return (
        day["day"],
        f"{tokens['above.read']:,}",
        f"{tokens['above.written']:,}",
        f"{day['cost']:.4f}",
        f"{day['checked']:,}",
        interval,
        f"{day['entries']:,}",
        f"{day['learned']:,}",
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"
