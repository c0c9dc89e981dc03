"""A policy that adapts goes by what was learned of texts; whatever else it does stays its own."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from shared.cascade.policies import (
    Feedback,
    Observation,
    PolicyContext,
    PolicySettings,
    Quantile,
    Skip,
    adapts,
    learns,
    make_policy,
)

SETTINGS = (Quantile(learn=True, beta=0.3), Skip(learn=True))


def make(settings: PolicySettings) -> Any:
    return make_policy(settings, PolicyContext(random.Random(0), 2))


def teach(policy: Any, rounds: int) -> None:
    """Have everything above contradict what is said of pumps."""
    for at in range(rounds):
        noun = "pump" if at % 3 == 0 else "lamp"
        seen = Observation(0.6, float(at), 20, f"the {noun} is fine", "good")
        final = "bad" if noun == "pump" else "good"
        routing = policy.decide(seen)
        policy.learn(seen, routing, Feedback(final == "good", 0.9, 2, final))


@pytest.mark.parametrize("settings", SETTINGS)
def test_contradicted_words_lower_the_confidence_that_is_held_against_the_threshold(
    settings: PolicySettings,
) -> None:
    policy = make(settings)
    teach(policy, 300)

    pump = policy.decide(Observation(0.6, 300.0, 20, "the pump is fine", "good"))
    lamp = policy.decide(Observation(0.6, 301.0, 20, "the lamp is fine", "good"))

    assert pump.confidence is not None
    assert lamp.confidence is not None
    assert pump.confidence < 0.4
    assert lamp.confidence > 0.6
    assert pump.up
    assert not lamp.up


def test_such_a_policy_wants_to_know_what_comes_back() -> None:
    assert learns(Quantile(learn=True))
    assert adapts(Quantile(learn=True))
    assert not learns(Quantile())
    assert not adapts(Skip())


def test_a_prompt_without_a_label_is_decided_on_as_it_was() -> None:
    policy, plain = make(Quantile(learn=True)), make(Quantile())
    for at, confidence in enumerate([0.5, 0.9, 0.4, 0.7, 0.3]):
        seen = Observation(confidence, float(at), 10, "the pump is fine")
        assert policy.decide(seen) == plain.decide(seen)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_later_life_decides_as_the_earlier_one_would_have(settings: PolicySettings) -> None:
    policy, later = make(settings), make(settings)
    teach(policy, 120)

    written = msgspec.msgpack.encode(policy.remember(120.0))
    later.recall(msgspec.msgpack.decode(written), 0.0)

    seen = Observation(0.6, 121.0, 20, "the pump is fine", "good")
    assert later.decide(seen).confidence == policy.decide(seen).confidence


def test_what_a_policy_without_learning_remembered_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        make(Quantile(learn=True)).recall(msgspec.to_builtins(make(Quantile()).remember(0.0)), 0.0)
