"""What a plan would be worth if jobs flowed like water: many plans reckoned at once.

Each kind's stream is cut into slices, and each slice goes where it is worth most behind what has
been poured there before. Waiting is that of a queue with the service times of section 14:
ρ/(1−ρ) times a share of the mean service time; from ρ = 0.97 on a node is overloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cloud_agent.center.placement.preferences import Preference

    Floats = NDArray[np.float64]
    Indexes = NDArray[np.int64]

_SLICES: Final = 12
_FULL: Final = 0.97
_VARIATION: Final = 0.6
_SPREADING: Final = 1e-3
"""What a unit of load costs where everything is late anyway: overload is shared."""


class Prospects(NamedTuple):
    """What kinds of job would bring on every node with every model.

    ``quality`` and ``service_s`` have shape (kinds, nodes, models), ``rtt_s`` (nodes,), and
    ``rates`` (kinds,): jobs a second.
    """

    quality: Floats
    service_s: Floats
    rtt_s: Floats
    rates: Floats


class Flow(NamedTuple):
    """What came of pouring the demand into some plans.

    ``worth`` is the mean worth of a job under each plan, shape (plans,); ``rates`` are the jobs a
    second by kind and node, shape (kinds, plans, nodes).
    """

    worth: Floats
    rates: Floats


def pour(plans: Indexes, prospects: Prospects, preference: Preference) -> Flow:
    """Return what each plan is worth; ``plans`` has shape (plans, nodes): indexes of models."""
    nodes = np.arange(plans.shape[1])
    rows = np.arange(len(plans))
    quality = prospects.quality[:, nodes, plans]
    service_s = prospects.service_s[:, nodes, plans]
    load = np.zeros(plans.shape)
    jobs = np.zeros(plans.shape)
    rates = np.zeros(quality.shape)
    slices = max(_SLICES, 2 * len(nodes) // len(prospects.rates))  # two for each node, at the least
    for _ in range(slices):
        for kind, rate in enumerate(prospects.rates / slices):
            more = load + rate * service_s[kind]
            latency_s = prospects.rtt_s + service_s[kind] + _wait_s(more, jobs + rate, preference)
            worth = preference.fluid(quality[kind], latency_s) - _SPREADING * more
            best = worth.argmax(axis=1)
            load[rows, best] = more[rows, best]
            jobs[rows, best] += rate
            rates[kind, rows, best] += rate
    latency_s = prospects.rtt_s + service_s + _wait_s(load, jobs, preference)
    worths = (rates * preference.fluid(quality, latency_s)).sum(axis=(0, 2))
    return Flow(worths / max(float(prospects.rates.sum()), 1e-12), rates)


def _wait_s(load: Floats, jobs: Floats, preference: Preference) -> Floats:
    """Return how long jobs wait; beyond the limit where there is more to do than can be done."""
    capped = np.minimum(load, _FULL)
    service_s = load / np.maximum(jobs, 1e-12)
    waiting: Floats = _VARIATION * service_s * capped / (1 - capped)
    return np.where(load >= _FULL, 2 * preference.limit_s, waiting)
