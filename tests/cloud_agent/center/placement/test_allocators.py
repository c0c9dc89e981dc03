"""Every allocator chooses a node that may be chosen, and each by what it stands for."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_agent.center.catalogue.cards import Catalogue, ModelCard
from cloud_agent.center.placement.allocators import (
    ActiveInference,
    ActiveInferenceAllocator,
    AllocatorContext,
    AllocatorSettings,
    Dqn,
    EpsilonGreedy,
    Greedy,
    GreedyAccuracy,
    LinUcb,
    Oracle,
    RoundRobin,
    ShortestQueue,
    Uniform,
    make_allocator,
    policy,
)
from cloud_agent.center.placement.allocators.linucb import LinUcbAllocator
from cloud_agent.center.placement.beliefs import Beliefs, Outlook
from cloud_agent.center.placement.dispatch import give_out
from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode
from cloud_agent.center.placement.preferences import Inverse, Preference, Weighted
from shared.errors import SettingsError

NODES = ("edge-1", "edge-2", "edge-3")
EVERY = get_args(AllocatorSettings)


class Told:
    """Outlooks that are given: all models are as good as ``quality`` says."""

    def outlook(self, node: str, model: str, kind: str) -> Outlook:
        del node, kind
        return Outlook({"small": 0.2, "large": 0.9}[model], 1.0, 0.1)


def catalogue() -> Catalogue:
    return Catalogue(
        [
            ModelCard(
                name=name,
                size_bytes=1e9,
                memory_bytes=1e9,
                load_s=3.0,
                token_s=token_s,
                quality={"question": quality, "summary": quality},
            )
            for name, quality, token_s in (("small", 0.4, 0.02), ("large", 0.7, 0.05))
        ],
        {"question": 40.0, "summary": 128.0},
    )


def context(preference: Preference | None = None, *, seed: int = 1) -> AllocatorContext:
    cards = catalogue()
    return AllocatorContext(
        cards, Beliefs(cards), preference or Weighted(), random.Random(seed), NODES, Told()
    )


def candidates(*backlogs_s: float, model: str = "small") -> list[OpenNode]:
    return [
        OpenNode(node, model, backlog_s, 0.05)
        for node, backlog_s in zip(NODES, backlogs_s, strict=False)
    ]


def job(number: int = 0, kind: str = "question", deadline_s: float = 15.0) -> FleetJob:
    return FleetJob(str(number), kind, deadline_s)


@pytest.mark.parametrize("kind", EVERY)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    backlogs=st.lists(st.floats(0, 1e4), min_size=1, max_size=3),
    grades=st.lists(st.floats(0, 1), max_size=12),
    service_s=st.floats(1e-6, 1e4),
)
def test_every_allocator_chooses_one_of_the_candidates(
    kind: type, seed: int, backlogs: list[float], grades: list[float], service_s: float
) -> None:
    given = context(seed=seed)
    allocator = make_allocator(kind(), given)
    offered = candidates(*backlogs)
    for number, grade in enumerate([*grades, 0.5]):
        chosen = allocator.choose(job(number), offered)
        assert 0 <= chosen < len(offered)
        outcome = JobOutcome(
            str(number), "question", offered[chosen].node, "small", grade, 40.0, service_s, 1.0
        )
        given.beliefs.learn(outcome)
        allocator.learn(outcome)


@given(
    energies=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    precision=st.floats(0, 1e4),
)
def test_the_probabilities_of_a_policy_sum_to_1(energies: list[float], precision: float) -> None:
    weights = policy(energies, precision)
    assert math.fsum(weights) == pytest.approx(1.0)
    assert all(0.0 <= weight <= 1.0 for weight in weights)
    assert weights[energies.index(min(energies))] == max(weights)


@settings(deadline=None)
@given(
    grades=st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30),
    service_s=st.floats(1e-9, 1e9),
    backlog_s=st.floats(0, 1e9),
    preference=st.sampled_from([Weighted(), Inverse()]),
    censored=st.booleans(),
)
def test_free_energy_is_finite_whatever_was_observed(
    grades: list[float | None],
    service_s: float,
    backlog_s: float,
    preference: Preference,
    censored: bool,
) -> None:
    given = context(preference)
    allocator = ActiveInferenceAllocator(ActiveInference(), given)
    for grade in grades:
        given.beliefs.learn(
            JobOutcome(
                "0", "question", "edge-1", "small", grade, 40.0, service_s, 1.0, censored=censored
            )
        )
    for energy in allocator.energies(job(), candidates(backlog_s, 0.0)):
        assert math.isfinite(energy.total)
        assert energy.epistemic >= 0


def test_active_inference_takes_the_shorter_of_two_queues_and_the_better_of_two_models() -> None:
    allocator = make_allocator(ActiveInference(), context())
    assert allocator.choose(job(), candidates(5.0, 0.1, 5.0)) == 1
    offered = candidates(0.0, 0.0)
    offered[1].model = "large"
    assert allocator.choose(job(), offered) == 1


def test_what_would_teach_most_is_tried_where_information_is_worth_something() -> None:
    given = context()
    for number in range(400):
        given.beliefs.learn(
            JobOutcome(
                str(number), "question", "edge-1", "small", float(number % 10 < 7), 40.0, 0.8, 1.0
            )
        )
    offered = candidates(0.0, 0.0)
    offered[1].model = "large"
    # The large one promises as much and is slower, but little is known of it.
    assert make_allocator(ActiveInference(epistemic=0.0), given).choose(job(), offered) == 0
    assert make_allocator(ActiveInference(epistemic=1.0), given).choose(job(), offered) == 1


def test_a_high_precision_takes_the_best_and_a_low_one_tosses() -> None:
    offered = candidates(0.0, 8.0, 14.0)
    strict = make_allocator(ActiveInference(precision=1000.0), context())
    loose = make_allocator(ActiveInference(precision=0.01), context())
    assert {strict.choose(job(), offered) for _ in range(50)} == {0}
    assert {loose.choose(job(), offered) for _ in range(100)} == {0, 1, 2}


def test_round_robin_goes_past_whoever_is_no_candidate() -> None:
    allocator = make_allocator(RoundRobin(), context())
    everybody = candidates(0.0, 0.0, 0.0)
    assert [allocator.choose(job(), everybody) for _ in range(4)] == [0, 1, 2, 0]
    without_second = [everybody[0], everybody[2]]
    assert [allocator.choose(job(), without_second) for _ in range(3)] == [1, 0, 1]


def test_the_shortest_queue_is_taken_whatever_it_serves() -> None:
    offered = candidates(0.5, 0.4, 0.6, model="large")
    offered[1].model = "small"
    assert make_allocator(ShortestQueue(), context()).choose(job(), offered) == 1


def test_greedy_accuracy_takes_the_best_model_however_long_its_queue() -> None:
    offered = candidates(0.0, 900.0, 800.0, model="large")
    offered[0].model = "small"
    assert make_allocator(GreedyAccuracy(), context()).choose(job(), offered) == 2


def test_greedy_believes_the_catalogue_whatever_it_has_seen() -> None:
    given = context()
    for _ in range(50):
        given.beliefs.learn(JobOutcome("0", "question", "edge-2", "large", 0.0, 40.0, 60.0, 60.0))
    offered = candidates(0.0, 0.0)
    offered[1].model = "large"
    assert make_allocator(Greedy(), given).choose(job(), offered) == 1
    assert make_allocator(ActiveInference(), given).choose(job(), offered) == 0


def test_random_and_epsilon_greedy_reach_everybody() -> None:
    offered = candidates(0.0, 3.0, 9.0)
    for kind in (Uniform(), EpsilonGreedy(epsilon=0.5)):
        allocator = make_allocator(kind, context())
        seen = Counter(allocator.choose(job(), offered) for _ in range(200))
        assert set(seen) == {0, 1, 2}


def test_the_oracle_knows_and_is_for_simulations() -> None:
    offered = candidates(0.0, 0.0)
    offered[1].model = "large"
    assert make_allocator(Oracle(), context()).choose(job(), offered) == 1
    with pytest.raises(SettingsError, match="for simulations"):
        make_allocator(Oracle(), context()._replace(truth=None))


def test_a_q_network_learns_which_node_answers_right() -> None:
    given = context(Weighted(latency=0.0), seed=5)
    allocator = make_allocator(Dqn(rate=3e-3, discount=0.0), given)
    chosen = []
    for number in range(600):
        offered = candidates(0.0, 0.0, 0.0)
        taken = allocator.choose(job(number), offered)
        chosen.append(taken)
        grade = float(taken == 2)
        allocator.learn(
            JobOutcome(str(number), "question", NODES[taken], "small", grade, 40.0, 1.0, 1.0)
        )
    assert Counter(chosen[-100:]).most_common(1)[0][0] == 2
    assert Counter(chosen[-100:])[2] > 85


def test_a_batch_spreads_by_itself_and_what_ends_first_goes_first() -> None:
    given = context()
    offered = candidates(0.0, 0.0, 0.0)
    jobs = [job(number, deadline_s=100.0 - number) for number in range(9)]
    placed = list(give_out(jobs, offered, make_allocator(ActiveInference(), given)))
    assert [each.id for each, _ in placed] == [str(number) for number in reversed(range(9))]
    assert Counter(candidate.node for _, candidate in placed) == dict.fromkeys(NODES, 3)


def test_without_a_candidate_nothing_is_given_out() -> None:
    assert list(give_out([job()], [], make_allocator(Uniform(), context()))) == []


@given(
    quality=st.floats(0, 1),
    latency_s=st.floats(0.01, 60.0),
    spread_s=st.floats(0.001, 10.0),
)
def test_the_expected_worth_is_the_mean_over_normal_latencies(
    quality: float, latency_s: float, spread_s: float
) -> None:
    preference = Weighted()
    normal = random.Random(11)
    drawn = [latency_s + spread_s * normal.gauss(0, 1) for _ in range(4000)]
    mean = math.fsum(preference.of(quality, each) for each in drawn) / len(drawn)
    spread = preference.accuracy + preference.latency + preference.late
    assert preference.expected(quality, latency_s, spread_s) == pytest.approx(
        mean, abs=6 * spread / math.sqrt(len(drawn))
    )


def test_a_late_answer_is_worth_less_than_a_wrong_one() -> None:
    assert Weighted().of(1.0, 16.0) < Weighted().of(0.0, 14.0)
    assert Inverse().of(1.0, 16.0) == 0.0
    assert Inverse().of(1.0, 0.1) == Inverse().of(1.0, 0.2) == 6.0


@pytest.mark.parametrize("features", [False, True])
def test_linucb_learns_the_scale_of_texts_only_where_it_looks_at_them(features: bool) -> None:
    given = LinUcbAllocator(LinUcb(features=features), context())
    for number in range(3):
        given.choose(job(number)._replace(features=(float(number),) * 8), candidates(0.0, 1.0))

    assert given._scale._count == 3 * features
