"""What a policy has learned goes on in another life as if there had been none between."""

import random
from typing import Any

import msgspec
import pytest

from shared.cascade.policies import (
    Budget,
    Feedback,
    Fixed,
    KeepAll,
    Observation,
    PolicySettings,
    Quality,
    Quantile,
    Random,
    RecallRule,
    Skip,
)
from shared.cascade.tier import Tier

REMEMBERING: list[PolicySettings] = [
    Quantile(beta=0.4),
    Quantile(beta=0.4, ties="draw", window_prompts=50),
    Budget(budget_bytes=2_000, period_s=100.0, window_prompts=300),
    Quality(tolerance=0.1),
    Skip(worth=5.0),
    RecallRule(tolerance=0.3, calls=200, period_s=50.0),
]


class Life:
    """A tier with two above it, and what it is asked: drawn, the same for equal seeds."""

    def __init__(self, policy: PolicySettings, seed: int) -> None:
        self.tier = Tier("device", policy, ("edge", "cloud"), seed=seed)
        self.now_s = 0.0

    def go_on(self, prompts: int, seed: int) -> list[int]:
        draw, routes = random.Random(seed), []
        for _ in range(prompts):
            self.now_s += draw.expovariate(2.0)
            seen = Observation(draw.betavariate(6, 2), self.now_s, draw.randint(20, 60))
            sent = self.tier.route("classify", seen)
            routes.append(sent.up)
            if sent.up and self.tier.learns:
                wrong = draw.random() > seen.confidence
                back = Feedback(agreed=not wrong, confidence=0.9, up=draw.randint(sent.up, 2))
                self.tier.feed_back("classify", seen, sent, back)
        return routes


def written_down(life: Life) -> Any:
    """What the tier remembers, as it comes back from a file."""
    memory = life.tier.remember(life.now_s)["classify"]
    return msgspec.msgpack.decode(msgspec.msgpack.encode(memory))


@pytest.mark.parametrize("policy", REMEMBERING, ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("prompts", [1, 30, 700])
def test_another_life_decides_as_the_first_would_have(policy: PolicySettings, prompts: int) -> None:
    first = Life(policy, seed=1)
    first.go_on(prompts, seed=2)
    memory = written_down(first)
    second = Life(policy, seed=1)
    second.tier.recall("classify", memory, at_s=first.now_s)
    second.now_s = first.now_s
    # Draws go on where they were: what is compared is what was learned.
    second.tier._draw.setstate(first.tier._draw.getstate())

    assert second.go_on(300, seed=3) == first.go_on(300, seed=3)


def test_a_budget_knows_what_was_spent_before_the_clock_began_anew() -> None:
    policy = Budget(budget_bytes=1_000, period_s=100.0, overhead_bytes=0.0)
    first = Life(policy, seed=1)
    first.go_on(400, seed=2)
    spent = first.tier.report("classify")["budget_spent_ratio"]
    second = Life(policy, seed=1)

    second.tier.recall("classify", written_down(first), at_s=-10.0)  # ten seconds before our zero

    second.tier.route("classify", Observation(1.0, 0.0, 1))
    still = second.tier.report("classify")["budget_spent_ratio"]
    assert 0.8 * spent < still <= spent


def test_the_last_period_is_over_when_the_pause_was_long() -> None:
    policy = Budget(budget_bytes=1_000, period_s=100.0, overhead_bytes=0.0)
    first = Life(policy, seed=1)
    first.go_on(400, seed=2)
    second = Life(policy, seed=1)

    second.tier.recall("classify", written_down(first), at_s=-1_000.0)

    second.tier.route("classify", Observation(1.0, 0.0, 1))
    assert second.tier.report("classify")["budget_spent_ratio"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("policy", [Fixed(threshold=0.5), Random(share=0.2), KeepAll()])
def test_policies_that_learn_nothing_remember_nothing(policy: PolicySettings) -> None:
    life = Life(policy, seed=1)
    life.go_on(20, seed=2)

    assert life.tier.remember(life.now_s) == {}
    with pytest.raises(ValueError, match="remembers nothing"):
        life.tier.recall("classify", {"arrivals": []}, at_s=0.0)


@pytest.mark.parametrize("policy", REMEMBERING, ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("memory", [None, {}, [], "window", {"arrivals": ["a"]}, {"unknown": 1}])
def test_what_is_no_memory_is_refused_and_changes_nothing(
    policy: PolicySettings, memory: Any
) -> None:
    life, other = Life(policy, seed=1), Life(policy, seed=1)
    life.go_on(50, seed=2)
    other.go_on(50, seed=2)

    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
        life.tier.recall("classify", memory, at_s=0.0)

    assert life.go_on(100, seed=3) == other.go_on(100, seed=3)


def test_a_skip_policy_refuses_what_was_learned_of_other_ways() -> None:
    one_way = Tier("device", Skip(worth=5.0), ("cloud",))
    one_way.route("classify", Observation(0.5, 0.0, 10))
    memory = msgspec.to_builtins(one_way.remember(0.0)["classify"])

    with pytest.raises(ValueError, match="1 ways led up, and now there are 2"):
        Life(Skip(worth=5.0), seed=1).tier.recall("classify", memory, at_s=0.0)
