"""Beliefs move as Bayes has it, and know what the next answer would teach."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from cloud_agent.center.catalogue.cards import Catalogue, ModelCard, quality_from_perplexity
from cloud_agent.center.placement.beliefs import (
    Beliefs,
    CatalogueOutlooks,
    Demand,
    QualityBelief,
    SpeedBelief,
    information_nats,
)
from cloud_agent.center.placement.beliefs.quality import digamma
from cloud_agent.center.placement.beliefs.speed import NOISE
from cloud_agent.center.placement.jobs import JobOutcome
from shared.errors import DataError


def card(name: str, quality: float = 0.5, token_s: float = 0.02) -> ModelCard:
    return ModelCard(
        name=name,
        size_bytes=1e9,
        memory_bytes=1e9,
        load_s=3.0,
        token_s=token_s,
        quality={"question": quality},
    )


def outcome(
    *, grade: float | None = 1.0, service_s: float = 0.8, censored: bool = False
) -> JobOutcome:
    return JobOutcome(
        "a job", "question", "edge-1", "small", grade, 40.0, service_s, 1.0, censored=censored
    )


@given(x=st.floats(0.01, 1e5))
def test_the_digamma_function_is_that_of_scipy(x: float) -> None:
    assert digamma(x) == pytest.approx(float(special.digamma(x)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (2.2, 1.8), (24.0, 16.0), (0.6, 5.0)])
def test_the_nats_of_a_grade_are_the_mutual_information(alpha: float, beta: float) -> None:
    rng = np.random.default_rng(7)
    theta = rng.beta(alpha, beta, 400_000)
    right = rng.random(theta.size) < theta
    p = alpha / (alpha + beta)
    drawn = np.where(right, np.log(theta / p), np.log1p(-theta) - math.log1p(-p))
    assert information_nats(alpha, beta) == pytest.approx(float(drawn.mean()), rel=0.02)


@given(alpha=st.floats(1e-3, 1e6), beta=st.floats(1e-3, 1e6))
def test_an_answer_teaches_something_finite_and_never_less_than_nothing(
    alpha: float, beta: float
) -> None:
    assert 0.0 <= information_nats(alpha, beta) <= math.log(2)


def test_the_nats_of_a_service_time_are_the_mutual_information_of_normals() -> None:
    belief = SpeedBelief(0.3, 0.2)
    assert belief.nats == pytest.approx(0.5 * math.log((0.2 + NOISE) / NOISE))
    assert belief.factor == pytest.approx(math.exp(0.3 + 0.1))


def test_grades_move_a_belief_from_its_prior_to_what_is_seen() -> None:
    belief = QualityBelief(0.4, 6.0)
    assert belief.mean == pytest.approx(0.4)
    for _ in range(200):
        belief.learn(1.0)
    assert 0.9 < belief.mean < 1.0


def test_a_grade_between_right_and_wrong_counts_as_both() -> None:
    belief = QualityBelief(0.5, 2.0)
    belief.learn(0.75)
    assert (belief.alpha, belief.beta) == pytest.approx((1.75, 1.25))


def test_a_belief_that_hears_nothing_new_fades_to_its_prior() -> None:
    belief, prior = QualityBelief(0.5, 4.0, forgetting=0.5), 0.5
    belief.learn(1.0)
    after_one = belief.mean
    for grade in (0.0, 1.0, 0.0, 1.0):
        belief.learn(grade)
    assert abs(belief.mean - prior) < abs(after_one - prior)
    assert belief.alpha + belief.beta < 4.0 + 2.0 + 1e-9


def test_service_times_teach_a_nodes_speed_within_25_jobs() -> None:
    belief = SpeedBelief()
    rng = np.random.default_rng(3)
    for noise in rng.normal(0, 0.15, 25):
        belief.learn(math.log(2.0) + float(noise))
    assert belief.mu == pytest.approx(math.log(2.0), abs=0.1)


def test_a_node_that_becomes_slower_is_believed_within_25_jobs() -> None:
    belief = SpeedBelief()
    rng = np.random.default_rng(4)
    for noise in rng.normal(0, 0.15, 300):
        belief.learn(float(noise))
    for noise in rng.normal(0, 0.15, 25):
        belief.learn(math.log(2.5) + float(noise))
    assert belief.mu == pytest.approx(math.log(2.5), abs=0.15)


def test_a_bound_below_what_was_expected_tells_nothing() -> None:
    belief = SpeedBelief(1.0, 0.1)
    belief.learn(0.2, censored=True)
    assert (belief.mu, belief.variance) == (1.0, 0.1)


def test_a_bound_above_what_was_expected_moves_the_belief_and_leaves_it_open() -> None:
    belief = SpeedBelief(0.0, 0.05)
    belief.learn(1.5, censored=True)
    assert belief.mu > 1.0
    assert belief.variance == pytest.approx(0.25)


def test_an_outlook_is_the_catalogues_until_something_is_seen() -> None:
    catalogue = Catalogue([card("small", 0.45)], {"question": 40.0})
    believed = Beliefs(catalogue).outlook("edge-1", "small", "question")
    promised = CatalogueOutlooks(catalogue).outlook("edge-1", "small", "question")
    assert believed.quality == pytest.approx(promised.quality)
    assert promised.service_s == pytest.approx(0.8)
    assert (promised.quality_nats, promised.speed_nats) == (0.0, 0.0)
    assert believed.quality_nats > 0 < believed.speed_nats


def test_what_a_model_shows_on_one_node_is_believed_of_it_on_all() -> None:
    beliefs = Beliefs(Catalogue([card("small")], {"question": 40.0}))
    for _ in range(30):
        beliefs.learn(outcome(service_s=1.6))
    here = beliefs.outlook("edge-1", "small", "question")
    there = beliefs.outlook("edge-2", "small", "question")
    assert here.quality == there.quality > 0.8
    assert here.service_s == pytest.approx(1.6, rel=0.05)
    assert there.service_s < 1.0


def test_an_answer_that_nobody_could_grade_teaches_only_the_speed() -> None:
    beliefs = Beliefs(Catalogue([card("small")], {"question": 40.0}))
    surprise = beliefs.learn(outcome(grade=None, service_s=4.0))
    assert surprise.quality == 0.0 < surprise.speed
    assert beliefs.quality("small", "question").mean == 0.5
    assert beliefs.speed("edge-1").mu > 0.5


def test_surprise_is_greater_the_less_likely_an_outcome_was() -> None:
    beliefs = Beliefs(Catalogue([card("small", 0.9)], {"question": 40.0}))
    wrong = beliefs.quality("small", "question").surprise(0.0)
    right = beliefs.quality("small", "question").surprise(1.0)
    assert wrong > right > 0
    assert beliefs.learn(outcome(service_s=0.8)).total < beliefs.learn(outcome(service_s=80)).total


def test_demand_follows_what_is_asked() -> None:
    demand = Demand(("question", "summary"))
    assert demand.jobs_per_round == 0.0
    for _ in range(300):
        demand.learn(["summary", "summary", "summary", "question"])
    assert demand.jobs_per_round == pytest.approx(4.0)
    assert demand.mix["summary"] == pytest.approx(0.75, abs=0.02)
    assert sum(demand.mix.values()) == pytest.approx(1.0)


def test_a_model_that_is_not_in_the_catalogue_is_named_with_those_that_are() -> None:
    catalogue = Catalogue([card("small"), card("large")], {"question": 40.0})
    with pytest.raises(DataError, match="no model 'huge', only small, large"):
        catalogue["huge"]


def test_a_lower_perplexity_promises_better_answers_within_limits() -> None:
    assert quality_from_perplexity(15.0) > quality_from_perplexity(26.0)
    assert quality_from_perplexity(1.0) == 0.85
    assert quality_from_perplexity(500.0) == 0.3
