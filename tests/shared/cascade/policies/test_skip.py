"""Skip goes where a corrected answer is worth the way, and learns what that is."""

import random

from shared.cascade.policies import Feedback, Observation, PolicyContext, Quantile, Skip
from shared.cascade.policies.base import Routing
from shared.cascade.policies.skip import SkipPolicy
from tests.support.policy_streams import Outcome, run, world

LOCAL = 1.0
WIDE = 10.0


def by_hops(worth: float, seed: int) -> Outcome:
    """Run with one unit per hop, as the paper counts."""
    return run(world(3_000, seed), Skip(worth=worth), Skip(worth=worth, costs=(1.0,)))


def by_distance(worth: float, seed: int) -> Outcome:
    """Run with wide-area bytes that cost ten times local ones."""
    device = Skip(worth=worth, costs=(LOCAL, LOCAL + WIDE), onward=WIDE)
    edge = Skip(worth=worth, costs=(WIDE,))
    return run(world(3_000, seed), device, edge, costs=(LOCAL, WIDE, LOCAL + WIDE))


def test_where_a_hop_is_a_hop_it_is_surer_for_less_than_recursion() -> None:
    recursion = run(world(3_000, 0), Quantile(beta=0.5), Quantile(beta=0.5))

    skip = by_hops(12.0, 0)

    assert skip.accuracy >= recursion.accuracy - 0.005
    assert skip.cost < 0.8 * recursion.cost


def test_where_the_way_to_the_cloud_is_dear_it_still_beats_recursion() -> None:
    costs = (LOCAL, WIDE, LOCAL + WIDE)
    recursion = run(world(3_000, 0), Quantile(beta=0.5), Quantile(beta=0.5), costs=costs)

    skip = by_distance(80.0, 0)

    assert skip.accuracy >= recursion.accuracy
    assert skip.cost < 0.9 * recursion.cost


def test_more_worth_buys_more_accuracy_for_more_cost() -> None:
    outcomes = [by_hops(worth, 1) for worth in (3.0, 8.0, 30.0)]

    assert outcomes[0].cost < outcomes[1].cost < outcomes[2].cost
    assert outcomes[0].accuracy < outcomes[1].accuracy < outcomes[2].accuracy + 0.005


def test_a_worthless_correction_keeps_everything_but_what_is_explored() -> None:
    outcome = by_hops(0.01, 2)

    assert len(outcome.escalated) < 0.05 * 3_000


def test_it_learns_that_the_tier_above_never_changes_the_answer() -> None:
    policy = SkipPolicy(Skip(worth=10.0, explore=0.0), PolicyContext(_draw(), 1))
    seen = Observation(0.55, 0.0, 100)
    assert policy.decide(seen).up == 1

    for _ in range(400):
        policy.learn(seen, Routing(1, 0.0), Feedback(agreed=True, confidence=0.9, up=1))

    assert policy.decide(seen).up == 0


def test_it_passes_over_a_tier_that_sends_everything_on() -> None:
    policy = SkipPolicy(Skip(worth=10.0, explore=0.0), PolicyContext(_draw(), 2))
    seen = Observation(0.55, 0.0, 100)

    for number in range(400):
        back = Feedback(agreed=number % 2 == 0, confidence=0.95, up=2)
        policy.learn(seen, Routing(1, 0.0), back)
        policy.learn(seen, Routing(2, 0.0), back)

    assert policy.decide(seen).up == 2


def _draw() -> random.Random:
    return random.Random(0)
