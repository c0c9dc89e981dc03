"""ServeGen: rate and burstiness of each client in windows of time, to draw arrivals from.

CSV ``window_start_s,client,rate_rps,interarrival_cv,distribution,shape,scale``, published at
github.com/alibaba/ServeGen (Xiang et al., 2025). Each client is a renewal process whose gaps, in
units of the window's mean gap, are Gamma or Weibull; a gap that outlasts its window goes on at the
rate of the next, so that every window gets the arrivals that its rate promises.
"""

from __future__ import annotations

import heapq
import math
import random
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.traces.arrival import Arrival
from experiments.traces.columns import read_columns
from experiments.traces.faults import BadRow
from experiments.traces.order import in_order
from experiments.traces.values import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from experiments.traces.faults import Faults
    from shared.text_files import Line

COLUMNS: Final = ("window_start_s", "client", "rate_rps", "distribution", "shape", "scale")
_LAST_WINDOW_S: Final = 600.0
_BURSTIEST: Final = 0.01
_EVENEST: Final = 1e6
"""Shapes beyond these are rounded to gaps of 0, or to no gap that differs."""


class _Window(NamedTuple):
    start_s: float
    client: str
    rate_per_s: float
    gap: Callable[[random.Random], float]
    """Draws a gap with mean 1."""


def read(lines: Iterator[Line], faults: Faults, seed: int) -> Iterator[tuple[int, Arrival]]:
    """Draw arrivals, window by window; equal seeds draw equal ones."""
    draw = random.Random(seed)  # noqa: S311 - guards nothing
    left: dict[str, float] = {}
    length_s = _LAST_WINDOW_S
    held: list[_Window] = []
    windows = faults.each(read_columns(lines, COLUMNS, faults), _window)
    for line, window in in_order(windows, lambda window: window.start_s, faults):
        if held and window.start_s > held[0].start_s:
            length_s = window.start_s - held[0].start_s
            yield from ((line, arrival) for arrival in _fill(held, length_s, left, draw))
            held = []
        held.append(window)
    yield from ((0, arrival) for arrival in _fill(held, length_s, left, draw))


def _window(cells: list[str]) -> _Window:
    start, client, rate, kind, shape, scale = cells
    rate_per_s = number(rate, COLUMNS[2])
    gap = _gaps(kind, shape, scale) if rate_per_s else _never
    return _Window(number(start, COLUMNS[0]), client, rate_per_s, gap)


def _gaps(kind: str, shape_text: str, scale_text: str) -> Callable[[random.Random], float]:
    shape, scale = number(shape_text, "shape"), number(scale_text, "scale")
    if not (_BURSTIEST <= shape <= _EVENEST and scale):
        raise BadRow(
            f"a window with arrivals needs a shape from {_BURSTIEST} to {_EVENEST:,.0f} "
            "and a scale above 0"
        )
    if kind == "Gamma":
        return lambda draw: draw.gammavariate(shape, 1.0) / shape
    if kind == "Weibull":
        mean = math.gamma(1 + 1 / shape)
        return lambda draw: draw.weibullvariate(1.0, shape) / mean
    raise BadRow(f"distribution is {kind!r}, not Gamma or Weibull")


def _never(draw: random.Random) -> float:
    del draw
    return math.inf


def _fill(
    windows: list[_Window], length_s: float, left: dict[str, float], draw: random.Random
) -> Iterator[Arrival]:
    """Yield the arrivals of all clients in one window, in order."""
    clients = [_arrivals(window, length_s, left, draw) for window in windows if window.rate_per_s]
    for at_s, client in heapq.merge(*clients):
        yield Arrival(at_s=at_s, device=client)


def _arrivals(
    window: _Window, length_s: float, left: dict[str, float], draw: random.Random
) -> Iterator[tuple[float, str]]:
    """Yield one client's arrivals in one window.

    ``left`` is what each client still has to wait, in mean gaps: time runs faster at a higher rate.
    """
    wait = left.get(window.client)
    if wait is None:  # we look at a process that has run for a while
        wait = window.gap(draw) * draw.random()
    room = length_s * window.rate_per_s
    while wait < room:
        yield window.start_s + wait / window.rate_per_s, window.client
        wait += window.gap(draw)
    left[window.client] = wait - room
