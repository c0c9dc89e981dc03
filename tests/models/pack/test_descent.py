from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.pack.descent import minimise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def valley(place: Floats) -> tuple[float, Floats]:
    """Ten dimensions, a thousand times steeper in the last than in the first; least at 1, 2, …"""
    steepness, off = np.logspace(0, 3, 10), place - np.arange(1.0, 11.0)
    return 1.0 + float(steepness @ off**2), 2.0 * steepness * off


def test_the_least_place_of_a_narrow_valley_is_found() -> None:
    found = minimise(valley, np.zeros(10), tolerance=1e-8)

    assert found == pytest.approx(np.arange(1.0, 11.0), abs=1e-6)


def test_a_logistic_fit_has_no_slope_left() -> None:
    draw = np.random.default_rng(3)
    design = draw.normal(size=(400, 5))
    truth = (draw.random(400) < 1 / (1 + np.exp(-design @ np.arange(5.0)))).astype(float)

    def objective(weights: Floats) -> tuple[float, Floats]:
        values = design @ weights
        slope = design.T @ (1 / (1 + np.exp(-values)) - truth) / 400
        return float(np.mean(np.logaddexp(0, values) - truth * values)), slope

    fitted = minimise(objective, np.zeros(5), tolerance=1e-8)

    assert np.abs(objective(fitted)[1]).max() < 1e-6
    assert np.argsort(fitted).tolist() == [0, 1, 2, 3, 4]


def test_a_fit_may_end_where_it_is_flat() -> None:
    values = []

    def watched(place: Floats) -> tuple[float, Floats]:
        value, slope = valley(place)
        values.append(value)
        return value, slope

    minimise(watched, np.zeros(10), tolerance=0.0, least_fall=0.5)

    assert 1.0 < values[-1] < values[0]
    assert len(values) < 60


def test_a_descent_without_end_says_so() -> None:
    with pytest.raises(ArithmeticError, match="no minimum was found in 20 steps"):
        minimise(
            lambda x: (1e6 - float(x.sum()), -np.ones_like(x)),
            np.zeros(2),
            tolerance=0.0,
            most_steps=20,
        )
