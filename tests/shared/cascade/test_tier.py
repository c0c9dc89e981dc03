"""The decision is the published one, and there is one window for each task."""

from __future__ import annotations

import random
from uuid import UUID

import numpy as np
import pytest

from shared.cascade.policies import (
    Feedback,
    Fixed,
    Observation,
    PolicySettings,
    Quality,
    Quantile,
    Routing,
    Skip,
)
from shared.cascade.tier import Escalation, Tier
from shared.messages import Hop, Prompt, Result, Scored
from shared.tasks import TASKS, Task
from shared.tasks.classify import Label


def seen(confidence: float) -> Observation:
    return Observation(confidence, at_s=0.0, prompt_bytes=20)


def published(confidences: list[float], beta: float, window_prompts: int) -> list[bool]:
    """The published algorithm, transcribed: whether each prompt is escalated."""
    history: list[float] = []
    decisions = []
    for confidence in confidences:
        history.append(confidence)
        history = history[-window_prompts:]
        threshold = float(np.quantile(np.array(history), beta))
        decisions.append(len(history) > 1 and confidence < threshold)
    return decisions


def tied(seed: int, length: int) -> list[float]:
    draw = random.Random(seed)
    return [
        draw.choice([1.0, 0.999, round(draw.random(), 1), draw.betavariate(5, 1)])
        for _ in range(length)
    ]


@pytest.mark.parametrize(
    ("beta", "window_prompts", "length"),
    [(0.3, 500, 10_000), (0.1, 10_000, 2_000), (0.618, 37, 10_000), (1.0, 100, 2_000)],
)
def test_every_decision_is_that_of_the_published_algorithm(
    beta: float, window_prompts: int, length: int
) -> None:
    confidences = tied(seed=window_prompts, length=length)
    tier = Tier("device", Quantile(beta=beta, window_prompts=window_prompts), ["edge"])

    decisions = [tier.route("classify", seen(value)).up == 1 for value in confidences]

    assert decisions == published(confidences, beta, window_prompts)


def test_the_verdict_shows_the_threshold_that_decided() -> None:
    tier = Tier("device", Quantile(beta=0.5), ["edge"])
    tier.route("classify", seen(0.9))

    verdict = tier.route("classify", seen(0.5))

    assert verdict.up == 1
    assert verdict.threshold == pytest.approx(0.7)


def test_the_first_prompt_is_kept_whatever_its_confidence() -> None:
    for beta in (0.0, 0.5, 1.0):
        assert Tier("device", Quantile(beta=beta), ["edge"]).route("classify", seen(0.0)).up == 0


def test_a_confidence_at_the_threshold_is_kept() -> None:
    tier = Tier("device", Quantile(beta=1.0), ["edge"])
    assert [tier.route("classify", seen(0.8)).up for _ in range(5)] == [0] * 5


def test_the_top_tier_keeps_everything_and_still_shows_its_threshold() -> None:
    top, below = Tier("cloud", Quantile(beta=0.9)), Tier("edge", Quantile(beta=0.9), ["cloud"])
    confidences = tied(seed=1, length=500)

    kept = [top.route("classify", seen(value)) for value in confidences]
    judged = [below.route("classify", seen(value)) for value in confidences]

    assert all(verdict.up == 0 for verdict in kept)
    assert any(verdict.up for verdict in judged)
    assert [verdict.threshold for verdict in kept] == [verdict.threshold for verdict in judged]


@pytest.mark.parametrize("other", [task for task in TASKS if task != "classify"])
def test_each_task_has_a_window_of_its_own(other: Task) -> None:
    tier = Tier("device", Quantile(beta=1.0), ["edge"])
    tier.route("classify", seen(1.0))

    assert tier.route(other, seen(0.1)) == Routing(0, 0.1)
    assert tier.route("classify", seen(0.1)).up == 1


def test_another_model_begins_with_what_is_expected_of_it_as_if_there_had_been_no_other() -> None:
    begun, fresh = (Tier("device", Quantile(beta=0.3), ["edge"]) for _ in range(2))
    fresh.begin_anew({"classify": (0.2, 0.4, 0.6)})
    for confidence in tied(seed=1, length=500):
        begun.route("classify", seen(confidence))
    begun.begin_anew({"classify": (0.2, 0.4, 0.6)})

    confidences = tied(seed=2, length=200)
    assert [begun.route("classify", seen(value)) for value in confidences] == [
        fresh.route("classify", seen(value)) for value in confidences
    ]


@pytest.mark.parametrize("policy", [Quality(tolerance=0.1), Skip(worth=5.0)])
def test_what_was_sent_up_by_the_model_before_is_learned_all_the_same(
    policy: PolicySettings,
) -> None:
    tier = Tier("device", policy, ("edge", "cloud"), seed=1)
    first = tier.route("classify", seen(0.1))
    tier.begin_anew({})

    for _ in range(3):
        feedback = Feedback(agreed=True, confidence=0.9, up=max(first.up, 1))
        tier.feed_back("classify", seen(0.1), first, feedback)

    assert tier.route("classify", seen(0.5)).up in (0, 1, 2)


def test_two_tiers_share_nothing() -> None:
    one, two = (Tier(name, Quantile(beta=1.0), ["cloud"]) for name in ("device", "edge"))
    one.route("classify", seen(1.0))
    assert two.route("classify", seen(0.1)).up == 0


def test_with_three_tiers_the_shares_are_beta_and_beta_squared() -> None:
    """The burden of the paper: β of all prompts reach the second tier and β² the third."""
    draw = random.Random(3)
    device = Tier("device", Quantile(beta=0.3), ["edge"])
    edge = Tier("edge", Quantile(beta=0.3), ["cloud"])
    count, at_edge, at_cloud = 20_000, 0, 0

    for _ in range(count):
        if device.route("classify", seen(draw.random())).up:
            at_edge += 1
            at_cloud += edge.route("classify", seen(draw.random())).up

    assert at_edge / count == pytest.approx(0.3, abs=0.01)
    assert at_cloud / count == pytest.approx(0.09, abs=0.01)


@pytest.mark.parametrize(("confidence", "kept"), [(0.6, True), (0.4, False)])
def test_what_a_head_says_is_held_against_the_threshold_and_the_models_word_goes_beside(
    confidence: float, kept: bool
) -> None:
    tier = Tier("device", Fixed(threshold=0.5), ["cloud"])
    prompt = Prompt(UUID(int=1), "device-1", "classify", "good", 30.0)
    scored = Scored(Label("positive"), confidence, 10, (0.1, 0.9), "agreement")

    decided = tier.decide("device-1", prompt, scored, arrived_s=0.0, now_s=0.0)

    result = decided if isinstance(decided, Result) else decided.local_result
    assert isinstance(decided, Result) == kept
    assert result.hops[-1].confidence == result.confidence == confidence
    assert result.certainty == 0.9
    hop = result.hops[-1]
    assert (hop.confidence_kind, hop.certainty_kind) == ("agreement", "max_probability")


def test_without_a_head_both_are_the_same_number() -> None:
    prompt = Prompt(UUID(int=1), "device-1", "classify", "good", 30.0)
    scored = Scored(Label("positive"), 0.9, 10, (0.1, 0.9))

    result = Tier("cloud").decide("cloud-1", prompt, scored, arrived_s=0.0, now_s=0.0)

    assert isinstance(result, Result)
    assert result.hops[-1].probability is None
    assert result.hops[-1].confidence_kind == "max_probability"
    assert result.certainty == result.confidence == 0.9


def test_what_was_learned_of_a_text_is_held_against_the_threshold_and_stands_in_the_hop() -> None:
    tier = Tier("device", Quantile(beta=1.0, learn=True), ["edge"])
    scored = Scored(Label("good"), 0.6, 100, (0.1, 0.9), "agreement")
    tier.route("classify", seen(1.0))  # the most sure so far: everything goes up

    for number in range(40):
        prompt = Prompt(UUID(int=number), "device-1", "classify", "the pump is fine", 10.0)
        sent = tier.decide("device-1", prompt, scored, arrived_s=0.0, now_s=1.0)
        assert isinstance(sent, Escalation)
        above = Hop("edge", "edge-1", 0.9, 0.5, 100)
        tier.learn(sent, Result(prompt.id, Label("bad"), (*sent.prompt.hops, above)))

        hop, said = sent.local_result.hops[-1], sent.observation.confidence

    assert hop.confidence < 0.3
    assert (said, hop.probability) == (0.6, 0.9), "the model's own words stay as they are"
    other = Prompt(UUID(int=99), "device-1", "classify", "a lamp", 10.0)
    unheard = tier.decide("device-1", other, scored, arrived_s=0.0, now_s=1.0)
    assert isinstance(unheard, Escalation)
    assert unheard.local_result.hops[-1].confidence > 0.5
