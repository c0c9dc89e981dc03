"""The learned curve: right from its prior, better with data, and bounded."""

import math
import random

import pytest

from shared.cascade.policies.response_curve import BINS, ResponseCurve, bin_of, lower_edge


def test_the_prior_believes_the_models() -> None:
    response = ResponseCurve()

    for confidence in (0.6, 0.8, 0.95):
        assert response.probability(bin_of(confidence)) == pytest.approx(1 - confidence, abs=0.02)


def test_enough_data_recovers_the_true_curve() -> None:
    response, draw = ResponseCurve(memory=50_000), random.Random(1)
    for _ in range(20_000):
        odds = draw.uniform(0.0, 6.0)
        index = bin_of(1 / (1 + math.exp(-odds)))
        response.add(index, draw.random() < 1 / (1 + math.exp(-(0.5 - 0.7 * odds))))
    for _ in range(5):
        response.fit()

    for odds in (0.5, 2.0, 4.0):
        fitted = response.probability(bin_of(1 / (1 + math.exp(-odds))))
        assert fitted == pytest.approx(1 / (1 + math.exp(-(0.5 - 0.7 * odds))), abs=0.03)


def test_old_observations_fade() -> None:
    response = ResponseCurve(memory=500)
    index = bin_of(0.8)
    for _ in range(3_000):
        response.add(index, True)
    response.fit()
    for _ in range(60):
        for _ in range(50):
            response.add(index, False)
        response.fit()

    assert response.observations <= 500.0001
    assert response.probability(index) < 0.1


def test_the_error_of_the_mean_shrinks_with_data() -> None:
    used = range(bin_of(0.5), bin_of(0.95))
    counts = [float(index in used) for index in range(BINS)]
    few, many = ResponseCurve(), ResponseCurve()
    for response, number in ((few, 20), (many, 2_000)):
        draw = random.Random(2)
        for _ in range(number):
            response.add(bin_of(draw.uniform(0.5, 1.0)), draw.random() < 0.2)
        response.fit()

    assert many.mean(counts, 0, len(used))[1] < few.mean(counts, 0, len(used))[1] / 2


@pytest.mark.parametrize("confidence", [0.0, 1e-12, 0.5, 0.999999999, 1.0])
def test_every_confidence_has_a_bin_that_begins_below_it(confidence: float) -> None:
    index = bin_of(confidence)

    assert 0 <= index < BINS
    assert lower_edge(index) <= confidence
