"""Minimise a smooth convex function with its gradient: L-BFGS, in numpy alone.

Nocedal and Wright, *Numerical Optimization*, algorithm 7.5, with steps halved until the function
falls enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Objective = Callable[[Floats], tuple[float, Floats]]

_MEMORY: Final = 10
_ENOUGH: Final = 1e-4
_HALVINGS: Final = 40


def minimise(
    objective: Objective,
    start: Floats,
    *,
    tolerance: float,
    least_fall: float = 0.0,
    most_steps: int = 500,
) -> Floats:
    """Return where the function, which is above 0, is least.

    ``objective`` gives value and gradient, of the shape of ``start``. The descent ends when no part
    of the gradient is larger than ``tolerance``, when ten steps made the function smaller by less
    than ``least_fall`` of it, or none makes it smaller; after ``most_steps`` it raises
    ``ArithmeticError``.
    """
    place: Floats = start.copy()
    value, slope = objective(place)
    steps: list[Floats] = []
    turns: list[Floats] = []
    values = [value]
    for _ in range(most_steps):
        if np.abs(slope).max() <= tolerance or _is_flat(values, least_fall):
            return place
        way = -_curved(slope, steps, turns)
        length = 1.0 if steps else 1.0 / max(1.0, float(np.linalg.norm(slope)))
        found = _walk(objective, place, value, slope, way, length)
        if found is None:
            return place
        there, value, there_slope = found
        values.append(value)
        step, turn = there - place, there_slope - slope
        place, slope = there, there_slope
        if float(np.vdot(step, turn)) > 0.0:
            steps, turns = [*steps[1 - _MEMORY :], step], [*turns[1 - _MEMORY :], turn]
    raise ArithmeticError(f"no minimum was found in {most_steps} steps")


def _is_flat(values: list[float], least_fall: float) -> bool:
    """Say whether the last steps brought hardly anything."""
    if len(values) <= _MEMORY:
        return False
    return values[-1] > (1.0 - least_fall) * values[-1 - _MEMORY]


def _walk(
    objective: Objective,
    place: Floats,
    value: float,
    slope: Floats,
    way: Floats,
    length: float,
) -> tuple[Floats, float, Floats] | None:
    """Return a place on the way at which the function is low enough; None where there is none."""
    fall = float(np.vdot(slope, way))
    for _ in range(_HALVINGS):
        there = place + length * way
        there_value, there_slope = objective(there)
        if there_value <= value + _ENOUGH * length * fall and there_value < value:
            return there, there_value, there_slope
        length /= 2.0
    return None


def _curved(slope: Floats, steps: list[Floats], turns: list[Floats]) -> Floats:
    """Return the slope times the inverse of the curvature that the last steps showed."""
    way: Floats = slope.copy()
    kept = []
    for step, turn in zip(reversed(steps), reversed(turns), strict=True):
        share = float(np.vdot(step, way) / np.vdot(step, turn))
        way -= share * turn
        kept.append(share)
    if steps:
        way *= float(np.vdot(steps[-1], turns[-1]) / np.vdot(turns[-1], turns[-1]))
    for step, turn, share in zip(steps, turns, reversed(kept), strict=True):
        way += (share - float(np.vdot(turn, way) / np.vdot(step, turn))) * step
    return way
