"""Arrivals for when there is no trace: ``poisson:rate=5,span=600``.

*poisson* has independent arrivals; *gamma* gaps with a coefficient of variation ``cv`` (above 1
they come in bursts); *diurnal* is Poisson with a rate that swings by ``depth`` around its mean with
a ``period``, drawn by thinning (Lewis and Shedler, 1979). All times are in seconds.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final

from experiments.traces.arrival import Arrival
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "rate": (1e-6, 1e6),
    "span": (1e-6, 1e9),
    "cv": (0.01, 100.0),
    "period": (1e-3, 1e9),
    "depth": (0.0, 1.0),
}
"""From where to where each value may go: beyond, gaps are rounded to nothing."""

_DEFAULTS: Final[Mapping[str, Mapping[str, float]]] = {
    "poisson": {"rate": 1.0, "span": 60.0},
    "gamma": {"rate": 1.0, "span": 60.0, "cv": 2.0},
    "diurnal": {"rate": 1.0, "span": 86_400.0, "period": 86_400.0, "depth": 0.8},
}


def is_synthetic(place: str) -> bool:
    """Say whether a trace is one to be drawn."""
    return place.partition(":")[0] in _DEFAULTS


def draw_arrivals(place: str, seed: int) -> Iterator[Arrival]:
    """Draw arrivals; equal seeds draw equal ones. Raises ``DataError`` before the first."""
    kind, _, text = place.partition(":")
    values = _read(kind, text)
    draw = random.Random(seed)  # noqa: S311 - guards nothing
    times = {"poisson": _poisson, "gamma": _gamma, "diurnal": _diurnal}[kind](values, draw)
    return (Arrival(at_s=at_s) for at_s in times)


def _read(kind: str, text: str) -> dict[str, float]:
    values = dict(_DEFAULTS[kind])
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key not in values:
            raise DataError(f"{kind}:{text}: no {key!r} here; known: {', '.join(values)}")
        try:
            values[key] = float(value)
        except ValueError:
            raise DataError(f"{kind}:{text}: {key} is {value!r}, not a number") from None
        least, most = _RANGES[key]
        if not least <= values[key] <= most:
            raise DataError(f"{kind}:{text}: {key} must lie between {least:g} and {most:,.0f}")
    return values


def _poisson(values: Mapping[str, float], draw: random.Random) -> Iterator[float]:
    at_s = draw.expovariate(values["rate"])
    while at_s < values["span"]:
        yield at_s
        at_s += draw.expovariate(values["rate"])


def _gamma(values: Mapping[str, float], draw: random.Random) -> Iterator[float]:
    shape = values["cv"] ** -2
    scale_s = 1 / (values["rate"] * shape)
    at_s = draw.gammavariate(shape, scale_s)
    while at_s < values["span"]:
        yield at_s
        at_s += draw.gammavariate(shape, scale_s)


def _diurnal(values: Mapping[str, float], draw: random.Random) -> Iterator[float]:
    rate, depth = values["rate"], values["depth"]
    highest = {"rate": rate * (1 + depth), "span": values["span"]}
    for at_s in _poisson(highest, draw):
        now = rate * (1 + depth * math.sin(2 * math.pi * at_s / values["period"]))
        if draw.random() * highest["rate"] < now:
            yield at_s
