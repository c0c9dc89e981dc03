"""What a chaos run found: a table for the terminal, and a fuller one for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.run import Outcome

_HEADS: Final = (
    "scenario", "asked", "device", "edge", "cloud", "degraded", "allowed", "error", "revised",
    "asked again", "same again", "deaths", "median s", "worst s", "whole again s", "kept",
)  # fmt: skip
_NARROW: Final = (
    "scenario", "asked", "degraded", "allowed", "error", "worst s", "kept",
)  # fmt: skip
_WIDE_COLUMNS: Final = 150


def cells(outcome: Outcome) -> dict[str, str]:
    """Return one scenario as a row, by head."""
    answered = outcome.answered
    kinds = ("device", "edge", "cloud", "degraded")
    recovery = "" if outcome.recovery_s is None else f"{outcome.recovery_s:.2f}"
    values = [
        outcome.name,
        f"{outcome.asked:,}",
        *(f"{answered.get(kind, 0):,}" for kind in kinds),
        f"{outcome.most_degraded:,}",
        f"{answered.get('error', 0):,}",
        str(outcome.revised),
        f"{outcome.repeated:,}",
        str(outcome.suppressed),
        str(outcome.deaths),
        f"{outcome.median_s:.3f}",
        f"{outcome.worst_s:.2f}",
        recovery,
        _verdict(outcome),
    ]
    return dict(zip(_HEADS, values, strict=True))


def table(outcomes: Sequence[Outcome], columns: int) -> Table:
    """Return the table of a run for a terminal of so many columns."""
    heads = _HEADS if columns >= _WIDE_COLUMNS else _NARROW
    made = Table(title=summary(outcomes), title_justify="left")
    for head in heads:
        made.add_column(head, justify="left" if head == "scenario" else "right")
    for outcome in outcomes:
        row = cells(outcome)
        made.add_row(*(row[head] for head in heads), style="red" if outcome.broken else "")
    return made


def page(outcomes: Sequence[Outcome], seed: int, *, explained: bool = True) -> str:
    """Return the table in Markdown; ``explained`` with what every scenario does."""
    lines = ["| " + " | ".join(_HEADS) + " |", "|---" + "|---:" * (len(_HEADS) - 1) + "|"]
    lines += ["| " + " | ".join(cells(outcome).values()) + " |" for outcome in outcomes]
    done = [
        f"- **{outcome.name}**: {outcome.says}. Degraded: {outcome.allows}." for outcome in outcomes
    ]
    said = [*done, ""] if explained else []
    return "\n".join([f"Seed {seed}. {summary(outcomes)}", "", *lines, "", *said])


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the verdict in a sentence."""
    ran = [outcome for outcome in outcomes if not outcome.skipped]
    asked = sum(outcome.asked for outcome in ran)
    broken = sum(len(outcome.broken) for outcome in ran)
    verdict = "every one ended in exactly one result" if not broken else f"{broken} promises broken"
    plural = "scenario" if len(ran) == 1 else "scenarios"
    return f"{asked:,} prompts in {len(ran)} {plural}: {verdict}."


def _verdict(outcome: Outcome) -> str:
    if outcome.skipped:
        return "skipped"
    return f"{len(outcome.broken)} BROKEN" if outcome.broken else "yes"
