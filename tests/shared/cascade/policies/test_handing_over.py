"""A policy whose settings change under way goes on from what the one before it has seen."""

from __future__ import annotations

import random

import numpy as np
import pytest

from shared.cascade.policies import (
    Budget,
    Feedback,
    Fixed,
    Observation,
    PolicySettings,
    Quality,
    Quantile,
    RecallRule,
    Skip,
)
from shared.cascade.tier import Tier

CONFIDENCES = [random.Random(4).betavariate(6, 2) for _ in range(200)]
BUDGET = Budget(budget_bytes=2_000, period_s=100.0, window_prompts=300)
QUANTILE = Quantile(beta=0.3, prior_prompts=0)


def lived(policy: PolicySettings) -> Tier:
    """A tier below another that has seen all the confidences, a second apart, and learned."""
    tier = Tier("edge", policy, ("cloud",), seed=7)
    for number, confidence in enumerate(CONFIDENCES):
        step(tier, confidence, float(number))
    return tier


def step(tier: Tier, confidence: float, at_s: float) -> tuple[int, float]:
    seen = Observation(confidence, at_s, 40)
    sent = tier.route("classify", seen)
    if sent.up and tier.learns:
        agreed = random.Random(f"{at_s}").random() < confidence
        tier.feed_back("classify", seen, sent, Feedback(agreed=agreed, confidence=0.9, up=1))
    return sent.up, sent.threshold


def threshold(tier: Tier, confidence: float = 0.5, at_s: float = 200.0) -> float:
    return step(tier, confidence, at_s)[1]


def test_another_beta_is_that_quantile_of_the_same_window() -> None:
    tier = lived(QUANTILE)

    tier.go_by(Quantile(beta=0.6, prior_prompts=0), 200.0)

    assert threshold(tier) == np.quantile([*CONFIDENCES, 0.5], 0.6)
    assert tier.policy == Quantile(beta=0.6, prior_prompts=0)


@pytest.mark.parametrize("window_prompts", [1, 50, 150])
def test_of_a_window_that_is_smaller_now_the_newest_stay(window_prompts: int) -> None:
    tier = lived(QUANTILE)

    tier.go_by(Quantile(beta=0.3, window_prompts=window_prompts, prior_prompts=0), 200.0)

    newest = [*CONFIDENCES, 0.5][-window_prompts:]
    assert threshold(tier) == np.quantile(newest, 0.3)


def test_a_window_that_is_larger_now_goes_on_growing() -> None:
    tier = lived(Quantile(beta=0.3, window_prompts=100, prior_prompts=0))

    tier.go_by(Quantile(beta=0.3, window_prompts=1_000, prior_prompts=0), 200.0)

    assert threshold(tier) == np.quantile([*CONFIDENCES[-100:], 0.5], 0.3)


def test_another_kind_with_a_window_takes_the_window() -> None:
    tier = lived(QUANTILE)

    tier.go_by(BUDGET, 200.0)
    tier.go_by(QUANTILE, 200.0)

    assert threshold(tier) == np.quantile([*CONFIDENCES, 0.5], 0.3)


def test_kinds_that_have_nothing_in_common_begin_anew() -> None:
    tier = lived(QUANTILE)

    tier.go_by(Fixed(threshold=0.9), 200.0)
    assert step(tier, 0.89, 200.0) == (1, 0.9)
    tier.go_by(QUANTILE, 201.0)

    assert threshold(tier, 0.7) == 0.7, "alone it is its own quantile"


def test_confidences_that_are_adapted_are_no_window_for_those_that_are_not() -> None:
    tier = lived(QUANTILE)

    tier.go_by(Quantile(beta=0.3, prior_prompts=0, learn=True), 200.0)

    assert threshold(tier, 0.7) == 0.7


@pytest.mark.parametrize(
    "policy",
    [
        QUANTILE,
        BUDGET,
        Quality(tolerance=0.1),
        Skip(worth=5.0),
        RecallRule(tolerance=0.3, calls=200, period_s=50.0),
        Quantile(beta=0.4, learn=True),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_settings_that_are_what_they_were_change_no_decision(policy: PolicySettings) -> None:
    same, changed = lived(policy), lived(policy)
    changed.go_by(policy, 200.0)

    for number, confidence in enumerate(CONFIDENCES):
        up, threshold = step(same, confidence, 200.0 + number)
        up_changed, threshold_changed = step(changed, confidence, 200.0 + number)
        assert up_changed == up
        assert threshold_changed == pytest.approx(threshold)


def test_what_was_learned_outlives_another_tolerance() -> None:
    tier = lived(Quality(tolerance=0.1))
    learned = tier.remember(200.0)["classify"].response

    tier.go_by(Quality(tolerance=0.3), 200.0)

    assert tier.remember(200.0)["classify"].response == learned


def test_another_tolerance_holds_for_the_next_prompt() -> None:
    tier = lived(Quality(tolerance=0.9))
    loose = threshold(tier, 0.99)

    tier.go_by(Quality(tolerance=0.001), 200.0)

    assert threshold(tier, 0.99) > loose


def test_what_a_longer_period_has_spent_lapses_with_a_shorter_one() -> None:
    tier = lived(BUDGET)
    spent = sum(cost for age_s, cost in tier.remember(200.0)["classify"].spent if age_s <= 10.0)

    tier.go_by(Budget(budget_bytes=2_000, period_s=10.0, window_prompts=300), 200.0)

    after = sum(cost for _, cost in tier.remember(200.0)["classify"].spent)
    assert after == pytest.approx(spent, abs=240.0), "to within the prompt at its edge"


def test_what_comes_back_for_a_prompt_of_before_is_taken_in() -> None:
    tier = lived(Quality(tolerance=0.01))
    seen = Observation(0.5, 200.0, 40)
    sent = tier.route("classify", seen)
    for policy in (QUANTILE, BUDGET, Fixed(threshold=0.5), Skip(), Quality(tolerance=0.2)):
        tier.go_by(policy, 200.0)
        tier.feed_back("classify", seen, sent, Feedback(agreed=True, confidence=0.9, up=1))
        assert tier.route("classify", seen).up in (0, 1)
