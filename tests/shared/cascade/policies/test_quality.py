"""The tolerated disagreement is held, with no more escalations than that takes."""

import random

import msgspec
import pytest

from shared.cascade.policies import Feedback, Observation, Quality
from shared.cascade.tier import Tier
from tests.support.policy_streams import Outcome, Scored, run, world


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


def turned(rows: list[list[Scored]], model: int, seed: int, *, share: float) -> list[list[Scored]]:
    """Let one model say the opposite to a share of the later half, as surely as ever."""
    draw, half = random.Random(seed), len(rows) // 2
    changed = rows[:half]
    for row in rows[half:]:
        scored = row[model]
        said = Scored(scored.confidence, scored.right != (draw.random() < share))
        changed.append([*row[:model], said, *row[model + 1 :]])
    return changed


@pytest.mark.parametrize("model", [0, 2], ids=["device", "cloud"])
@pytest.mark.parametrize("seed", range(10))
def test_a_model_that_changes_unannounced_is_noticed_and_the_promise_held(
    seed: int, model: int
) -> None:
    device, edge = Quality(tolerance=0.1), Quality(tolerance=0.001)
    rows = turned(world(4_000, seed), model, seed, share=0.3)

    soon = run(rows[:2_600], device, edge).device.report("classify")

    assert soon["alarms_total"] >= 1, "600 prompts after the change"
    assert run(rows, device, edge).disagreement <= 0.1 + 0.001


def test_where_nothing_changes_alarms_are_as_rare_as_promised() -> None:
    runs = [attempt(0.1, seed, prompts=4_000) for seed in range(4)]

    labels = sum(len(outcome.escalated) for outcome in runs)
    alarms = sum(outcome.device.report("classify")["alarms_total"] for outcome in runs)
    assert alarms <= labels / Quality().window_prompts


def test_after_an_alarm_nothing_is_kept_until_labels_allow_it() -> None:
    tier = Tier("device", Quality(tolerance=0.2), ("cloud",), seed=1)
    draw, kept_after = random.Random(2), 0
    for number in range(3_000):
        seen = Observation(0.98, float(number), 10)
        before = tier.report("classify").get("alarms_total", 0)
        sent = tier.route("classify", seen)
        kept_after += bool(before) and not sent.up
        if sent.up:
            wrong = 0.02 if number < 1_000 else 0.5
            back = Feedback(agreed=draw.random() >= wrong, confidence=0.9, up=1)
            tier.feed_back("classify", seen, sent, back)

    assert tier.report("classify")["alarms_total"] == 1
    assert kept_after == 0


def test_what_was_learned_before_an_alarm_is_forgotten() -> None:
    tier = Tier("device", Quality(tolerance=0.2, audit=1.0), ("cloud",), seed=1)
    draw = random.Random(3)

    def ask(prompts: int, wrong: float) -> float:
        for number in range(prompts):
            seen = Observation(0.9, float(number), 10)
            sent = tier.route("classify", seen)
            back = Feedback(agreed=draw.random() >= wrong, confidence=0.9, up=1)
            tier.feed_back("classify", seen, sent, back)
        return tier.report("classify")["alarms_total"]

    assert ask(2_000, wrong=0.05) == 0
    before = tier.remember(0.0)["classify"]
    assert ask(200, wrong=0.5) == 1
    after = tier.remember(0.0)["classify"]

    assert sum(before.response.trials) == 2_000
    assert sum(after.response.trials) < 200
    assert sum(after.response.events) / sum(after.response.trials) > 0.35


def test_a_memory_from_before_alarms_were_counted_is_still_read() -> None:
    rows = world(500, 7)
    first = run(rows, Quality(), Quality()).device
    memory = msgspec.to_builtins(first.remember(0.0)["classify"])
    del memory["evidence"], memory["alarms"]
    second = Tier("device", Quality(), ("edge", "cloud"), seed=1)

    second.recall("classify", memory, at_s=0.0)

    estimate = second.report("classify")
    assert estimate == {**first.report("classify"), "alarms_total": 0.0}
    assert estimate["disagreement_high_ratio"] > 0
