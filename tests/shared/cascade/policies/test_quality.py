"""The tolerated disagreement is held, with no more escalations than that takes."""

import pytest

from shared.cascade.policies import Quality
from tests.support.policy_streams import Outcome, run, world


def attempt(tolerance: float, seed: int, prompts: int = 2_000) -> Outcome:
    """Give each of two tiers half of the tolerance."""
    half = Quality(tolerance=tolerance / 2)
    return run(world(prompts, seed), half, half)


@pytest.mark.parametrize("tolerance", [0.02, 0.05, 0.1])
def test_the_target_is_held_on_nine_of_ten_orders(tolerance: float) -> None:
    held = sum(attempt(tolerance, seed).disagreement <= tolerance for seed in range(10))

    assert held >= 9


def test_a_larger_tolerance_costs_less() -> None:
    strict, lax = attempt(0.02, 1), attempt(0.1, 1)

    assert lax.cost < strict.cost - 0.2


def test_it_does_not_simply_escalate_everything() -> None:
    outcome = attempt(0.05, 2, prompts=6_000)

    assert len(outcome.kept) > 0.3 * 6_000


def test_sure_answers_are_audited_too() -> None:
    outcome = attempt(0.1, 3, prompts=6_000)
    line = outcome.device.report("classify")

    surest = sorted(outcome.kept)[len(outcome.kept) // 2]
    audited = sum(confidence > surest for _, confidence in outcome.escalated)
    assert audited > 20
    assert line["disagreement_low_ratio"] <= line["disagreement_ratio"]
    assert line["disagreement_high_ratio"] <= 0.1 / 2


def test_the_interval_covers_the_disagreement_of_the_kept_prompts() -> None:
    rows = world(6_000, 4)
    half = Quality(tolerance=0.05)

    outcome = run(rows, half, Quality(tolerance=0.001))

    report = outcome.device.report("classify")
    assert outcome.disagreement <= report["disagreement_high_ratio"] + 0.01
    assert outcome.disagreement >= report["disagreement_low_ratio"] - 0.02
