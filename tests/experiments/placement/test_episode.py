"""Whatever happens to a simulated fleet, every job ends once, and only where it may."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_agent.center.placement.allocators import ActiveInference, AllocatorSettings, Uniform
from cloud_agent.center.placement.preferences import Weighted
from experiments.placement.episode import run_episode
from experiments.placement.node import Node
from experiments.placement.scores import back_and_forth, score
from experiments.placement.world import FleetWorld, WorldSettings, draw_world


def small(rounds: int = 60, **given: object) -> WorldSettings:
    return WorldSettings(rounds=rounds, rounds_per_placement=10, **given)  # type: ignore[arg-type]


def jobs_of(world: FleetWorld) -> list[str]:
    return sorted(arrival.id for arrivals in world.arrivals for arrival in arrivals)


def test_a_seed_always_draws_the_same_world_and_plays_the_same_episode() -> None:
    one, two = draw_world(small(), 3), draw_world(small(), 3)
    assert one.arrivals == two.arrivals
    assert one.quality == two.quality
    first = run_episode(one, ActiveInference(), Weighted())
    again = run_episode(two, ActiveInference(), Weighted())
    assert first.ended == again.ended
    assert first.plans == again.plans
    assert run_episode(draw_world(small(), 4), ActiveInference(), Weighted()).ended != first.ended


def test_where_texts_tell_hard_ones_are_answered_worse_by_all_but_the_largest_model() -> None:
    blank, telling = (draw_world(small(600, telling=each), 3) for each in (0.0, 1.0))
    smallest, *_, largest = (card.name for card in telling.catalogue)
    hard: list[bool] = []
    easy: list[bool] = []
    for before, job in zip(
        (job for jobs in blank.arrivals for job in jobs),
        (job for jobs in telling.arrivals for job in jobs),
        strict=True,
    ):
        assert (before.features, before.luck, before.hardness) == (job.features, job.luck, 0.0)
        assert job.effort - before.effort == pytest.approx(0.2 * job.hardness)
        assert telling.is_right(largest, job) == blank.is_right(largest, before)
        (hard if job.hardness > 0 else easy).append(telling.is_right(smallest, job))
    assert sum(easy) / len(easy) > sum(hard) / len(hard) + 0.2


def test_other_jobs_come_to_the_same_fleet() -> None:
    one, other = draw_world(small(), 3), draw_world(small(), 3, jobs=1)
    assert one.arrivals != other.arrivals
    assert one.quality == other.quality
    assert (one.slowdowns == other.slowdowns).all()


@pytest.mark.parametrize("allocator", get_args(AllocatorSettings))
def test_every_job_ends_once_under_every_allocator(allocator: type) -> None:
    world = draw_world(small(rate=5.0), 1)
    episode = run_episode(world, allocator(), Weighted())
    assert sorted(each.id for each in episode.ended) == jobs_of(world)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rate=st.floats(0.2, 9.0),
    outages=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 50), st.integers(1, 80)), max_size=8
    ),
    allocator=st.sampled_from([ActiveInference(), Uniform()]),
)
def test_jobs_of_dead_nodes_are_given_out_again_and_end_once(
    seed: int, rate: float, outages: list[tuple[int, int, int]], allocator: AllocatorSettings
) -> None:
    world = draw_world(
        small(rate=rate, outages=tuple((node, dies, dies + dead) for node, dies, dead in outages)),
        seed,
    )
    episode = run_episode(world, allocator, Weighted())
    assert sorted(each.id for each in episode.ended) == jobs_of(world)
    given_out = Counter(each.id for each in episode.given)
    assert set(given_out) == set(jobs_of(world))
    for number, dies, rises in world.settings.outages:
        alone = [outage for outage in world.settings.outages if outage[0] == number]
        if len(alone) == 1:  # outages of one node may overlap, and then end each other
            name = world.nodes[number]
            dead = [each for each in episode.given if each.node == name]
            assert not [each for each in dead if dies <= each.round < min(rises, 60)]
    if not outages:
        assert set(given_out.values()) <= {1}
    for plan in episode.plans:
        for node, model in plan.items():
            memory = world.memory_bytes[world.nodes.index(node)]
            assert world.catalogue[model].memory_bytes <= memory


@settings(max_examples=60, deadline=None)
@given(
    memory_gib=st.floats(1.4, 12.0),
    steps=st.lists(
        st.tuples(st.integers(0, 5), st.floats(0.1, 300.0), st.sampled_from(["", "work", "die"])),
        max_size=30,
    ),
)
def test_a_node_never_uses_more_memory_than_it_has(
    memory_gib: float, steps: list[tuple[int, float, str]]
) -> None:
    cards = list(draw_world(small(), 0).catalogue)
    gib = float(1 << 30)
    node = Node("edge-1", cards[0], memory_gib * gib, 0.05 * gib, 0.1)
    now_s = 0.0
    for wanted, pause_s, deed in steps:
        node.advance(now_s)
        if cards[wanted].memory_bytes <= node.memory_bytes and node.alive:
            node.want(cards[wanted], now_s)
        if deed == "work" and node.available:
            node.work(now_s, 3.0)
        if deed == "die":
            node.die()
            node.rise(now_s)
        now_s += pause_s
        node.advance(now_s)
        assert node.used_bytes <= node.memory_bytes + 1e-6


def test_a_node_without_room_for_two_models_takes_nothing_while_it_changes() -> None:
    small_card, *_, large_card = draw_world(small(), 0).catalogue
    gib = float(1 << 30)
    narrow = Node("narrow", small_card, 6.0 * gib, 1.0 * gib, 0.1)
    roomy = Node("roomy", small_card, 9.0 * gib, 1.0 * gib, 0.1)
    for node in (narrow, roomy):
        node.want(large_card, 0.0)
        node.advance(5.0)
        assert node.available, "it serves the old model while the new one is on its way"
    for node, serves in ((narrow, False), (roomy, True)):
        node.advance(8.0)
        assert node.available is serves
        node.advance(22.0)
        assert node.available
        assert node.model is large_card


def test_going_back_to_a_model_within_four_placements_is_counted() -> None:
    def plans(*models: str) -> list[dict[str, str]]:
        return [{"edge-1": model} for model in models]

    assert back_and_forth(plans("a", "b", "a")) == 1
    assert back_and_forth(plans("a", "b", "b", "b", "a")) == 1
    assert back_and_forth(plans("a", "b", "b", "b", "b", "b", "a")) == 0
    assert back_and_forth(plans("a", "b", "c")) == 0


def test_a_score_says_how_a_job_was_worth_before_and_after_the_change() -> None:
    world = draw_world(small(rounds=240), 2)
    scored = score(world, run_episode(world, ActiveInference(), Weighted()), Weighted())
    assert len(scored.course) == 240
    assert -0.85 <= scored.after < scored.before <= 1.0
    assert 0 <= scored.misses <= 1
