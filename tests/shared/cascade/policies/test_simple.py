"""Policies that follow a rule: quantile with its tie-break, fixed, random, keep, pass."""

import random

import pytest

from shared.cascade.policies import Fixed, KeepAll, Observation, PassAll, Quantile, Random
from shared.cascade.policies.base import Routing
from shared.cascade.tier import Tier


def judge_all(tier: Tier, confidences: list[float]) -> list[Routing]:
    return [tier.route("classify", Observation(c, float(n), 50)) for n, c in enumerate(confidences)]


def saturated(prompts: int = 5_000) -> list[float]:
    """Two thirds of the confidences are the same, and the largest."""
    draw = random.Random(3)
    return [0.9999 if draw.random() < 2 / 3 else draw.uniform(0.5, 0.99) for _ in range(prompts)]


def test_strictly_below_escalates_far_less_than_beta_when_confidences_saturate() -> None:
    verdicts = judge_all(Tier("device", Quantile(beta=0.6), ("edge",)), saturated())

    assert sum(v.up for v in verdicts) / len(verdicts) == pytest.approx(1 / 3, abs=0.03)


def test_drawing_at_the_threshold_holds_the_rate() -> None:
    tier = Tier("device", Quantile(beta=0.6, ties="draw"), ("edge",), seed=1)

    verdicts = judge_all(tier, saturated())

    assert sum(v.up for v in verdicts) / len(verdicts) == pytest.approx(0.6, abs=0.02)


def test_drawing_changes_nothing_where_there_are_no_ties() -> None:
    draw = random.Random(4)
    confidences = [draw.random() for _ in range(2_000)]

    published = judge_all(Tier("device", Quantile(beta=0.3), ("edge",)), confidences)
    drawn = judge_all(Tier("device", Quantile(beta=0.3, ties="draw"), ("edge",)), confidences)

    differing = sum(a.up != b.up for a, b in zip(published, drawn, strict=True))
    assert differing <= 10  # a prompt that is its own threshold, early in the stream


def test_fixed_compares_with_a_constant() -> None:
    tier = Tier("device", Fixed(threshold=0.8), ("edge",))

    assert [v.up for v in judge_all(tier, [0.79, 0.8, 0.81])] == [1, 0, 0]


def test_random_escalates_its_share_blind_to_confidence() -> None:
    tier = Tier("device", Random(share=0.25), ("edge",), seed=7)
    confidences = [0.5, 0.99] * 5_000

    verdicts = judge_all(tier, confidences)

    unsure = sum(v.up for v in verdicts[::2]) / 5_000
    sure = sum(v.up for v in verdicts[1::2]) / 5_000
    assert unsure == pytest.approx(0.25, abs=0.03)
    assert sure == pytest.approx(0.25, abs=0.03)


def test_the_same_seed_draws_the_same() -> None:
    confidences = [0.7] * 200

    first = judge_all(Tier("device", Random(share=0.5), ("edge",), seed=9), confidences)
    second = judge_all(Tier("device", Random(share=0.5), ("edge",), seed=9), confidences)

    assert first == second


def test_keep_keeps_and_pass_passes() -> None:
    assert {v.up for v in judge_all(Tier("edge", KeepAll(), ("cloud",)), [0.1, 0.9])} == {0}
    assert {v.up for v in judge_all(Tier("device", PassAll(), ("edge", "cloud")), [0.1, 0.9])} == {
        1
    }


def test_pass_can_pass_over_a_tier_but_never_above_the_top() -> None:
    straight = Tier("device", PassAll(up=2), ("edge", "cloud"))
    short = Tier("device", PassAll(up=2), ("edge",))
    top = Tier("cloud", PassAll(up=2))

    assert [judge_all(tier, [0.5])[0].up for tier in (straight, short, top)] == [2, 1, 0]
