"""Costs at equal accuracy are read off the frontier, with an interval that covers the truth."""

import math

import numpy as np
import pytest

from experiments.evaluation.equal_accuracy import PairedSample, cheapest, saving


def test_the_cost_lies_between_the_neighbouring_settings() -> None:
    accuracies, costs = np.array([0.8, 0.9]), np.array([0.0, 1.0])

    assert cheapest(accuracies, costs, 0.85) == pytest.approx(0.5)


def test_settings_that_cost_more_for_less_do_not_count() -> None:
    accuracies = np.array([0.8, 0.82, 0.81, 0.9])
    costs = np.array([0.0, 0.9, 0.95, 1.0])

    assert cheapest(accuracies, costs, 0.85) == pytest.approx(0.5)


def test_an_accuracy_out_of_reach_costs_infinity() -> None:
    assert math.isinf(cheapest(np.array([0.8, 0.9]), np.array([0.0, 1.0]), 0.95))


def test_an_accuracy_that_is_had_for_nothing_costs_nothing() -> None:
    assert cheapest(np.array([0.8, 0.9]), np.array([0.0, 1.0]), 0.7) == 0.0


def sample(accuracies: list[float], costs: list[float], prompts: int = 4_000) -> PairedSample:
    draw = np.random.default_rng(3).random(prompts)
    right = np.array([draw < accuracy for accuracy in accuracies], np.float64)
    return PairedSample(right, np.array([[cost] * prompts for cost in costs], np.float64))


def test_the_saving_and_its_interval_cover_what_is_known() -> None:
    reference = sample([0.85], [0.8])
    contender = sample([0.80, 0.90], [0.0, 0.8])

    saved = saving(reference, 0, contender)

    assert saved.share == pytest.approx(0.5, abs=0.05)
    assert saved.interval.low < 0.5 < saved.interval.high
    assert saved.interval.high - saved.interval.low < 0.2


def test_a_policy_compared_with_itself_saves_nothing() -> None:
    both = sample([0.80, 0.85, 0.90], [0.0, 0.3, 0.8])

    saved = saving(both, 1, both)

    assert saved.share == pytest.approx(0.0, abs=1e-9)
    assert saved.contender == pytest.approx(saved.reference)
