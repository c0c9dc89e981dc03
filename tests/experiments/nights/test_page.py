"""The page says what a report has, and which gate was closed."""

from __future__ import annotations

from edge_agent.nights.folder import GateReading, NightOutcome
from experiments.nights.page import page
from experiments.nights.questions import Share
from experiments.nights.study import NightReport, NightShares, StudyReport


def _outcome(number: int, old: float) -> NightOutcome:
    gates = {
        "held-out wordings": GateReading(value=0.95, bound=0.8, open=True),
        "old knowledge": GateReading(value=old, bound=0.96, open=old >= 0.96),
    }
    if old >= 0.96:
        return NightOutcome(number=number, verdict="passed", gates=gates)
    return NightOutcome(number=number, verdict="rejected", gates=gates, rejected=gates)


def _report(*facts: int, outcome: NightOutcome | None) -> NightReport:
    shares = NightShares(
        facts=[Share(right, 100) for right in facts],
        known=Share(200, 200),
        unseen=Share(6, 200),
        copied=Share(194, 200),
    )
    return NightReport(outcome=outcome, shares=shares, adapter_bytes=1_234)


def test_the_page_has_each_night_and_what_was_closed() -> None:
    report = StudyReport(
        before=_report(outcome=None),
        nights=[_report(*[90] * number, outcome=_outcome(number, 0.99)) for number in range(1, 4)],
        forgetful=_outcome(1, 0.1),
        crowded=_outcome(1, 0.5),
    )
    text = page(report)

    assert "| nothing | – | – | – | 100.0% [98.1%, 100.0%] | 3.0% [1.4%, 6.4%] | 97.0%" in text
    assert text.count("90.0% [82.6%, 94.5%]") == 6
    assert "without replay, 300 facts, first try | rejected | 0.950 (0.800) | **0.100** (0." in text
    assert "without replay, 300 facts, second try | rejected |" in text
    assert "night 3 | passed | 0.950 (0.800) | 0.990 (0.960) | – | – |" in text
