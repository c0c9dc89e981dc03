"""What a chaos run found: a table for the terminal, and the same for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.run import Outcome

_HEADS: Final = (
    "scenario", "asked", "device", "edge", "cloud", "degraded", "error", "revised", "same again",
    "restarts", "median s", "worst s", "whole again s", "kept",
)  # fmt: skip


def cells(outcome: Outcome) -> list[str]:
    """Return one scenario as a row."""
    answered = outcome.answered
    tiers = [
        str(answered.get(kind, 0)) for kind in ("device", "edge", "cloud", "degraded", "error")
    ]
    recovery = "" if outcome.recovery_s is None else f"{outcome.recovery_s:.2f}"
    return [
        outcome.name,
        f"{outcome.asked:,}",
        *tiers,
        str(outcome.revised),
        str(outcome.suppressed),
        str(outcome.deaths),
        f"{outcome.median_s:.3f}",
        f"{outcome.worst_s:.2f}",
        recovery,
        f"{len(outcome.broken)} BROKEN" if outcome.broken else "yes",
    ]


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return the table of a run."""
    made = Table(title=summary(outcomes), title_justify="left")
    for head in _HEADS:
        made.add_column(head, justify="left" if head == "scenario" else "right")
    for outcome in outcomes:
        made.add_row(*cells(outcome), style="red" if outcome.broken else "")
    return made


def page(outcomes: Sequence[Outcome]) -> str:
    """Return the table in Markdown, with what every scenario does."""
    lines = ["| " + " | ".join(_HEADS) + " |", "|---" * len(_HEADS) + "|"]
    lines += ["| " + " | ".join(cells(outcome)) + " |" for outcome in outcomes]
    done = [f"- **{outcome.name}**: {outcome.says}." for outcome in outcomes]
    return "\n".join([summary(outcomes), "", *lines, "", *done, ""])


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the verdict in a sentence."""
    asked = sum(outcome.asked for outcome in outcomes)
    broken = sum(len(outcome.broken) for outcome in outcomes)
    verdict = "every one ended in exactly one result" if not broken else f"{broken} promises broken"
    return f"{asked:,} prompts in {len(outcomes)} scenarios: {verdict}."
