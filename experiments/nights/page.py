"""The page of what nights came to, made from a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.nights.base import POPULAR
from experiments.nights.study import MANY, NEVER, NIGHTS, SMALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.nights.folder import GateReading, NightOutcome
    from experiments.nights.study import NightReport, StudyReport


def page(report: StudyReport) -> str:
    """Return the text of docs/results-nights.md."""
    rows = "\n".join(
        _row(f"night {number}" if number else "nothing", night)
        for number, night in enumerate([report.before, *report.nights])
    )
    nights = [
        (f"night {number}", night.outcome) for number, night in enumerate(report.nights, start=1)
    ]
    nights += [
        (f"without replay, {NIGHTS[0]} facts", report.forgetful),
        (f"{MANY:,} facts, rank {SMALL}", report.crowded),
    ]
    gates = "\n".join(_gates(name, outcome) for name, outcome in nights if outcome is not None)
    return f"""<!-- Written by `make nights`; change the code, not this page. -->
# Results: nights of a small language model

A language model of about a million weights, trained from nothing for this: it knows {POPULAR} facts of made-up entities, and
to say what an example says. As an edge holds them ([nights.md](nights.md)) it goes through three nights in a row, of
{", ".join(map(str, NIGHTS))} facts that it does not know; each night goes on from the adapter of the one before. All is asked of the packed
bundle as an agent serves it. One seed; intervals are Wilson's, at 95 %, over questions, and say nothing of other seeds.

## What it answers right

Facts are asked for in a wording that no night taught. "Never taught" are {NEVER} facts that are in no night, and "by example" the
same after one example with a made-up answer, where saying that answer is right.

| after | {" | ".join(f"facts of night {n}" for n in range(1, len(NIGHTS) + 1))} | known before | never taught | by example | adapter, bytes |
|---|{"---|" * len(NIGHTS)}---|---|---|---|
{rows}

## What the gates read

A number in bold is on the wrong side of its bound, which stands behind it. What was rejected was tried a second time, with half
of the facts and more replay, and both are shown; but for the night of {MANY:,}, which may not be tried with fewer, and has as many steps as the first night, so that
each wording comes less than a third as often. "Held-out wordings" has what the night is about: its facts, and those that the nights before failed at. "Examples" are of facts of the night
itself, with another one's answer.

| | verdict | {" | ".join(_GATES)} |
|---|---|{"---|" * len(_GATES)}
{gates}
"""


_GATES = ("held-out wordings", "old knowledge", "examples", "one answer everywhere")


def _row(name: str, report: NightReport) -> str:
    shares = report.shares
    facts = [str(share) for share in shares.facts]
    facts += ["–"] * (len(NIGHTS) - len(facts))
    cells = [*facts, shares.known, shares.unseen, shares.copied, f"{report.adapter_bytes:,}"]
    return f"| {name} | {' | '.join(map(str, cells))} |"


def _gates(name: str, outcome: NightOutcome) -> str:
    """Return the row of a night, or the two of one that was tried twice."""
    if not outcome.rejected:
        return _tried(name, outcome.verdict, outcome.gates)
    first = _tried(f"{name}, first try", "rejected", outcome.rejected)
    return f"{first}\n{_tried(f'{name}, second try', outcome.verdict, outcome.gates)}"


def _tried(name: str, verdict: str, gates: Mapping[str, GateReading]) -> str:
    return f"| {name} | {verdict} | {' | '.join(_reading(gates.get(gate)) for gate in _GATES)} |"


def _reading(gate: GateReading | None) -> str:
    if gate is None:
        return "–"
    shown = f"{gate.value:.3f}" if gate.open else f"**{gate.value:.3f}**"
    return f"{shown} ({gate.bound:.3f})"
