"""More degraded answers than a scenario allows are a broken promise, as a lost one is."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.allowed import SETTLED_S, Allowed
from chaos.ledger import Ledger
from chaos.scenarios import SCENARIOS

WHY = "no better answer came in time"


def answered(count: int, *, degraded: int = 0, error: str = "") -> Ledger:
    """Return a ledger of questions asked a second apart, of which the last are degraded."""
    ledger = Ledger()
    for number in range(count):
        ledger.ask(f"q{number}", float(number))
        answer: dict[str, Any] = {"id": f"q{number}", "label": "positive", "tier": "edge"}
        if number >= count - degraded:
            answer["degraded"] = WHY
        ledger.hear(answer, number + 0.5)
    if error:
        ledger.ask("last", float(count))
        ledger.hear({"id": "last", "error": error}, count + 0.5)
    return ledger


def test_none_is_none() -> None:
    allowed = Allowed("nothing breaks")
    assert allowed.broken_by(answered(10), settled_s=0.0) == []
    (said, late) = allowed.broken_by(answered(10, degraded=1), settled_s=0.0)
    assert said.startswith("1 answers are degraded, 0 may be")
    assert WHY in said
    assert "long after" in late


def test_a_share_and_single_prompts_add_up() -> None:
    allowed = Allowed("the cloud is away", share=0.1, prompts=2)
    assert allowed.most(50) == 7
    assert allowed.says() == "10 % and 2; the cloud is away"
    assert allowed.broken_by(answered(50, degraded=7), settled_s=60.0) == []
    assert len(allowed.broken_by(answered(50, degraded=8), settled_s=60.0)) == 1


def test_a_share_of_what_is_asked_while_somebody_is_away_is_no_share_of_the_rest() -> None:
    allowed = Allowed("the cloud is away", away=0.5, prompts=1)
    ledger = answered(20, degraded=3)
    assert len(allowed.broken_by(ledger, settled_s=60.0)) == 1
    ledger.away.append((4.5, 8.5))
    assert ledger.asked_away == 4
    assert allowed.broken_by(ledger, settled_s=60.0) == []
    assert allowed.says() == "50 % of what is asked meanwhile and 1; the cloud is away"


def test_what_is_asked_well_after_the_end_of_a_fault_may_not_be_degraded_at_all() -> None:
    allowed = Allowed("the disk is full", share=0.5)
    ledger = answered(20, degraded=2)
    last_s = 19.0
    assert allowed.broken_by(ledger, settled_s=last_s - SETTLED_S + 0.5) == []
    (said,) = allowed.broken_by(ledger, settled_s=last_s - SETTLED_S - 0.5)
    assert said.startswith("degraded long after all was well")


def test_a_fault_without_an_end_has_no_time_after_it() -> None:
    allowed = Allowed("too much is asked", share=0.5, lasting=True)
    assert allowed.broken_by(answered(20, degraded=3), settled_s=0.0) == []


def test_an_error_is_no_answer_unless_it_is_expected() -> None:
    ledger = answered(5, error="stopping")
    (said,) = Allowed("x").broken_by(ledger, settled_s=9.0)
    assert said == "answers that are errors: {'stopping': 1}"
    assert Allowed("x", errors=("stopping",)).broken_by(ledger, settled_s=9.0) == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_gives_a_reason(scenario: Any) -> None:
    assert len(scenario.allowed.why.split()) >= 2
    assert scenario.allowed.share < 1
