"""The report card: how far each tier's confidence can be trusted to choose what goes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from experiments.evaluation.statistics import accuracy, auroc, reliability, risk_coverage
from experiments.plots.style import INK, MUTED, TIER_COLOURS, headline, new_figure, percent, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from experiments.evaluation.matrix import Matrix


_FULL_PROMPTS: Final = 20
"""A bin with fewer prompts says nothing and is not drawn; it counts in the ECE all the same."""


class ScoredRows(NamedTuple):
    """One model's confidences and whether its answers are right; both of shape (n,)."""

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]


class ReportCard(NamedTuple):
    """A tier as it serves, and, where known, the same model before it was quantised.

    ``served`` goes by the largest probability. Where the model has a head, ``routed`` has what
    routing goes by in its place.
    """

    tier: str
    served: ScoredRows
    before: ScoredRows | None = None
    routed: ScoredRows | None = None


def cards(matrix: Matrix, before: Matrix | None = None) -> list[ReportCard]:
    """Return a card per tier; ``before`` has the tiers' models before they were quantised."""
    unquantised = {} if before is None else dict(_judged(before))
    heads = {
        tier.tier: ScoredRows(tier.agreement, right)
        for tier, right in zip(matrix.tiers, matrix.right, strict=True)
        if tier.agreement is not None
    }
    return [
        ReportCard(tier, judged, unquantised.get(tier), heads.get(tier))
        for tier, judged in _judged(matrix)
    ]


def _judged(matrix: Matrix) -> list[tuple[str, ScoredRows]]:
    rows = zip(matrix.tiers, matrix.right, strict=True)
    return [(tier.tier, ScoredRows(tier.confidence, right)) for tier, right in rows]


def draw_cards(drawn: Sequence[ReportCard], *, title: str) -> Figure:
    """Draw a column per tier: its numbers, its risk by coverage, its reliability."""
    with styled():
        figure = new_figure(3.5 * len(drawn) + 0.4, 7)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        grid = figure.subplots(2, len(drawn), sharey="row", squeeze=False)
        highest = max(float((~card.served.right).mean()) for card in drawn)
        for column, card in enumerate(drawn):
            colour = TIER_COLOURS[column % len(TIER_COLOURS)]
            _draw_risk(grid[0][column], card, colour, highest)
            _draw_reliability(grid[1][column], card, colour)
        _explain(grid[0][0], grid[1][0], drawn[0])
        grid[0][0].set_ylabel("wrong among the surest")
        grid[1][0].set_ylabel("answers that are right")
        grid[1][0].set_ylim(_lowest(drawn) - 0.03, 1.03)
    return figure


def _lowest(drawn: Sequence[ReportCard]) -> float:
    """Return the lowest accuracy of any bin that is drawn, or of a coin if that is lower."""
    bins = [reliability(*rows) for card in drawn for rows in (card.served, card.before) if rows]
    shares = [float(each.accuracy[each.prompts >= _FULL_PROMPTS].min(initial=1.0)) for each in bins]
    return min([1 / 2, *shares])


def _explain(risk: Axes, calibration: Axes, card: ReportCard) -> None:
    """Say once, in the first column, what the dashed lines are."""
    small: dict[str, Any] = {"color": MUTED, "fontsize": 8, "textcoords": "offset points"}
    wrong = float((~card.served.right).mean())
    risk.annotate("everything kept", (0.02, wrong), (0, 4), **small)
    calibration.annotate("as right as sure", (0.72, 0.72), (0, 6), ha="right", va="bottom", **small)


def _draw_risk(axes: Axes, card: ReportCard, colour: str, highest: float) -> None:
    served = card.served
    curve = risk_coverage(served.confidence, served.right)
    axes.plot(curve.coverage, curve.risk, color=colour)
    if card.routed is not None:
        _draw_routed(axes, card.routed)
    axes.axhline(curve.risk[-1], color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    axes.set_ylim(0, highest * 1.25)
    axes.set_xlim(0, 1)
    percent(axes.xaxis)
    percent(axes.yaxis)
    axes.set_xlabel("share kept, surest first")
    headline(
        axes,
        card.tier,
        f"accuracy {accuracy(served.right):.1%}   "
        f"AUROC {auroc(served.confidence, served.right):.3f}   AURC {curve.area:.3f}",
    )


def _draw_routed(axes: Axes, routed: ScoredRows) -> None:
    """Draw what a head makes of the order, and say how well it tells right answers."""
    curve = risk_coverage(*routed)
    axes.plot(curve.coverage, curve.risk, color=INK, linewidth=1.2)
    note = f"going by agreement: AUROC {auroc(*routed):.3f}   AURC {curve.area:.3f}"
    axes.text(0.97, 0.05, note, transform=axes.transAxes, ha="right", color=INK, fontsize=9)


def _draw_reliability(axes: Axes, card: ReportCard, colour: str) -> None:
    axes.plot([0, 1], [0, 1], scaley=False, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    notes = []
    if card.before is not None:
        error = _draw_bins(axes, card.before, INK, filled=False)
        notes.append((f"before quantising: ECE {error:.3f}", INK))
    error = _draw_bins(axes, card.served, colour, filled=True)
    notes.append((f"as served: ECE {error:.3f}", colour))
    for line, (note, ink) in enumerate(notes):
        axes.text(0.97, 0.05 + 0.08 * line, note, transform=axes.transAxes, ha="right", color=ink)
    axes.set_xlim(1 / 2 if min(card.served.confidence) >= 1 / 2 else 0.0, 1.01)
    percent(axes.xaxis)
    percent(axes.yaxis)
    axes.set_xlabel("largest probability")


def _draw_bins(axes: Axes, judged: ScoredRows, colour: str, *, filled: bool) -> float:
    """Draw a line through the bins, marks the larger the more prompts, and return the ECE."""
    bins = reliability(judged.confidence, judged.right)
    full = bins.prompts >= _FULL_PROMPTS
    confidence, right = bins.confidence[full], bins.accuracy[full]
    axes.plot(confidence, right, color=colour, linewidth=1.2, alpha=0.7)
    axes.scatter(
        confidence,
        right,
        s=12 + 130 * bins.prompts[full] / bins.prompts.max(),
        facecolor=colour if filled else "white",
        edgecolor="white" if filled else colour,
        marker="o" if filled else "s",
        zorder=3 if filled else 4,
    )
    return bins.error
