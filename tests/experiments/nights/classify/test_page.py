from __future__ import annotations

import pytest

from edge_agent.nights.folder import NightOutcome
from experiments.evaluation.equal_accuracy import Saving
from experiments.nights.classify.figures import Estimate, KindFigures
from experiments.nights.classify.page import BEGIN, END, put, section
from experiments.nights.classify.report import NEW, ShiftReport
from experiments.nights.classify.study import Night
from shared.telemetry.intervals import Interval


def figures(gain: float, saved: float) -> KindFigures:
    return KindFigures(
        700,
        Estimate(0.8 + gain, Interval(0.75, 0.9)),
        Estimate(gain, Interval(gain - 0.02, gain + 0.02)),
        0.75,
        Saving(0.3, 0.3 * (1 - saved), saved, Interval(saved - 0.1, saved + 0.1)),
    )


def report(gain: float, saved: float) -> ShiftReport:
    first, second = (
        Night(
            domain=domain,
            texts=1_800,
            to_edge=900,
            to_cloud=300,
            labels_right=0.9,
            outcome=NightOutcome(number=number, verdict="passed", seconds=60.0),
            model="bundle",
        )
        for number, domain in enumerate(("films", "products"), start=1)
    )
    measured = [figures(0.0, 0.0), figures(gain, saved)]
    return ShiftReport(
        nights=[[first, second]],
        figures={"products": measured, NEW: measured},
        cloud={NEW: (0.9, 0.8)},
    )


def test_the_section_says_what_was_reached_and_what_was_not() -> None:
    text = section(report(0.05, 0.1))

    assert "one order of arrival (`--orders 1`):" in text
    assert "+5.0 [+3.0, +7.0] points, and 3 were aimed at: reached" in text
    assert "they change the accuracy by +5.0 [+3.0, +7.0] points." in text
    assert "Of the labels that the nights learned 90.0% were right" in text
    assert "10 % [0, 20], and 20 % were aimed at: not reached" in text
    assert "| 2, products | 1,800 | 900 | 300 | 90.0% | passed |" in text


def test_only_what_stands_between_the_markers_is_written_anew() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n"

    assert put(page, "new\n") == f"before\n{BEGIN}new\n{END}after\n"
    with pytest.raises(ValueError, match="lacks one of its markers"):
        put("before\n", "new\n")


def test_what_was_forgotten_is_said() -> None:
    assert "-5.0 [-7.0, -3.0] points, which is forgetting" in section(report(-0.05, 0.1))
