"""What a memory makes good enough stays; what nobody has tried, or is often changed, goes up."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from shared.cascade.policies import Feedback, Observation, PolicyContext, RecallRule, make_policy
from shared.messages import WAYS

if TYPE_CHECKING:
    from shared.cascade.policies import Policy, Routing
    from shared.messages import Way


def recall(**settings: float) -> Policy:
    return make_policy(RecallRule(**settings), PolicyContext(random.Random(1), 1))  # type: ignore[arg-type] # any setting


def seen(way: Way, belief: float, *, at_s: float = 0.0, check: bool = False) -> Observation:
    if way == "model":
        return Observation(belief, at_s, 50, way=way, check=check)
    return Observation(0.2, at_s, 50, way=way, check=check, chance=belief)


def live(
    policy: Policy, way: Way, right: float, *, prompts: int = 2_000, share: float = 0.05
) -> list[Routing]:
    """Let prompts come whose answer by a way is right so often; only what went up is told."""
    draw = random.Random(f"{way} {right}")
    routings = []
    for number in range(prompts):
        belief = min(1.0, max(0.0, draw.gauss(0.9, 0.05)))
        observation = seen(way, belief, at_s=float(number), check=draw.random() < share)
        routing = policy.decide(observation)
        routings.append(routing)
        if routing.up:
            agreed = draw.random() < right
            policy.learn(observation, routing, Feedback(agreed, 0.9, routing.up))
    return routings


@pytest.mark.parametrize("way", WAYS)
def test_what_is_seldom_changed_is_kept_and_what_often_is_goes_up(way: Way) -> None:
    good, bad = live(recall(), way, 0.98), live(recall(), way, 0.7)

    assert sum(routing.up for routing in good[1_000:]) < 100
    assert sum(routing.up for routing in bad[1_000:]) > 900


def test_each_way_is_judged_by_its_own_answers() -> None:
    policy = recall()
    live(policy, "memory", 0.99)
    live(policy, "examples", 0.6)

    assert policy.decide(seen("memory", 0.9)).up == 0
    assert policy.decide(seen("examples", 0.9)).up == 1


def test_what_nobody_has_tried_goes_up() -> None:
    for way in WAYS:
        assert recall().decide(seen(way, 0.93)).up == 1


def test_a_way_that_gets_worse_is_found_out_by_what_is_drawn_alone() -> None:
    policy = recall(window_prompts=500)
    live(policy, "memory", 0.99)
    before = live(policy, "memory", 0.99, prompts=300)
    live(policy, "memory", 0.5, prompts=4_000)
    after = live(policy, "memory", 0.5, prompts=300)

    assert sum(routing.up for routing in before) < 30
    assert sum(routing.up for routing in after) > 250


def test_the_chance_that_an_answer_is_changed_is_what_it_turns_out_to_be() -> None:
    policy = recall(certainty=0.5)
    live(policy, "memory", 0.95, prompts=6_000, share=0.2)
    believed = policy.decide(seen("memory", 0.9)).confidence

    assert believed == pytest.approx(0.95, abs=0.02)


def test_beyond_the_wanted_calls_more_is_tolerated_and_later_again_less() -> None:
    free, bound = recall(), recall(calls=100, period_s=1_000)
    for policy in (free, bound):
        for number in range(3_000):
            policy.decide(seen("model", 0.5, at_s=float(number) / 10))

    assert free.decide(seen("model", 0.5, at_s=301.0)).threshold == pytest.approx(0.9)
    assert bound.decide(seen("model", 0.5, at_s=301.0)).threshold == pytest.approx(0.4, abs=0.01)
    assert bound.decide(seen("model", 0.5, at_s=9_000.0)).threshold == pytest.approx(0.9)
    assert bound.report()["calls"] == 1.0
