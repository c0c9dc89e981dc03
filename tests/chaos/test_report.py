"""The report says what was broken, and does not count what could not be run."""

from __future__ import annotations

import io

from rich.console import Console

from chaos.report import page, summary, table
from chaos.run import Outcome

FINE = Outcome(
    "cut",
    "links are cut",
    asked=1_200,
    answered={"device": 1_000, "edge": 190, "degraded": 10},
    most_degraded=12,
    allows="1 %; it takes a second",
)
LOST = Outcome("kill", "an agent is killed", asked=10, broken=("q7: no answer",))
SKIPPED = Outcome("disk", "a disk is full", skipped="needs the right to mount")


def test_a_broken_promise_stands_in_the_verdict() -> None:
    assert summary([FINE]) == (
        "1,200 prompts in 1 scenario: every one ended in exactly one result."
    )
    assert summary([FINE, LOST]) == "1,210 prompts in 2 scenarios: 1 promises broken."


def test_what_was_skipped_is_shown_and_not_counted() -> None:
    assert "in 1 scenario:" in summary([FINE, SKIPPED])
    assert "| skipped |" in page([FINE, SKIPPED], seed=1)


def test_the_page_has_a_row_and_a_sentence_for_each_scenario() -> None:
    text = page([FINE, LOST], seed=7)
    assert text.startswith("Seed 7.")
    assert "| cut | 1,200 | 1,000 | 190 | 0 | 10 | 12 | 0 |" in text
    assert "1 BROKEN |" in text
    assert "- **cut**: links are cut. Degraded: 1 %; it takes a second." in text
    assert "- **kill**: an agent is killed." in text


def test_a_narrow_terminal_gets_the_columns_that_matter() -> None:
    screen = io.StringIO()
    Console(file=screen, width=80).print(table([FINE, LOST], 80))
    assert "1 BROKEN" in screen.getvalue()
    assert "1,200" in screen.getvalue()
    assert max(len(line) for line in screen.getvalue().splitlines()) <= 80
