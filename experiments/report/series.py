"""A run over time, in bins of equal width: what the pictures show, as plain lists.

Every prompt counts in the bin of its intended time, a completion in the bin it came in.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.report.agents import by_agent, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.replay.samples import Sample
    from experiments.report.run import Flags, Floats, Played

_BINS: Final = 60
_NONE: Final = 1e-9
_WIDTHS_S: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


def make_series(played: Played) -> dict[str, Any]:
    """Return all series of a run; None stands where a bin has nothing to say."""
    end_s = max(float(played.done_s.max()), played.run.played_s)
    width_s = next((width for width in _WIDTHS_S if end_s / width <= _BINS), _WIDTHS_S[-1])
    edges = np.arange(0.0, end_s + width_s, width_s)
    return {
        "bin_s": width_s,
        "begin_s": [float(edge) for edge in edges[:-1]],
        "intended_per_s": _per_s(played.at_s, edges),
        "sent_per_s": _per_s(played.sent_s, edges),
        "completed_per_s": _per_s(played.done_s, edges),
        "in_flight": _in_flight(played, edges),
        "lateness_ms": _quantiles(played.at_s, played.lateness_s, edges),
        "latency_ms": _quantiles(played.at_s, played.latency_s, edges),
        "share": {tier: _share(played, played.by(tier), edges) for tier in played.tiers},
        "threshold": {tier: _threshold(played, tier, edges) for tier in played.tiers[:-1]},
        "errors": _counts(played.at_s[played.failed], edges),
        "degraded": _counts(played.at_s[played.degraded], edges),
        "link_bytes_per_s": _links(played.samples, edges),
        "queue_ms": _agent_means(played.samples, edges, "queued_s", "queued", 1000.0),
        "batch_prompts": _agent_means(played.samples, edges, "batched", "batches", 1.0),
    }


def _counts(times_s: Floats, edges: Floats) -> list[int]:
    return [int(count) for count in np.histogram(times_s, edges)[0]]


def _per_s(times_s: Floats, edges: Floats) -> list[float]:
    width_s = float(edges[1] - edges[0])
    return [round(count / width_s, 3) for count in _counts(times_s, edges)]


def _in_flight(played: Played, edges: Floats) -> list[int]:
    """Return how many prompts are under way when each bin ends."""
    sent, done = np.sort(played.sent_s), np.sort(played.done_s)
    ends = edges[1:]
    return [
        int(count)
        for count in np.searchsorted(sent, ends, "right") - np.searchsorted(done, ends, "right")
    ]


def _split(at_s: Floats, values: Floats, edges: Floats) -> list[Floats]:
    """Return the values of each bin; times on the last edge belong to the last bin."""
    bins = np.clip(np.searchsorted(edges, at_s, "right") - 1, 0, len(edges) - 2)
    order = np.argsort(bins, kind="stable")
    cuts = np.searchsorted(bins[order], np.arange(1, len(edges) - 1))
    return list(np.split(values[order], cuts))


def _quantiles(at_s: Floats, values_s: Floats, edges: Floats) -> dict[str, list[float | None]]:
    parts = _split(at_s, values_s, edges)
    return {
        name: [round(float(np.quantile(p, share)) * 1000, 3) if len(p) else None for p in parts]
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


def _share(played: Played, mine: Flags, edges: Floats) -> list[float | None]:
    among = played.answered
    parts = _split(played.at_s[among], mine[among].astype(np.float64), edges)
    return [round(float(part.mean()), 4) if len(part) else None for part in parts]


def _threshold(played: Played, tier: str, edges: Floats) -> dict[str, list[float | None]]:
    """Return the median, and the middle 80 %, over all windows of a tier."""
    parts = _split(*played.seen_by(tier), edges)
    return {
        name: [round(float(np.quantile(p, share)), 4) if len(p) else None for p in parts]
        for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))
    }


def _links(samples: Sequence[Sample], edges: Floats) -> dict[str, list[float]]:
    """Return bytes per second by link, of all agents together."""
    width_s = float(edges[1] - edges[0])
    found: dict[str, Floats] = {}
    for mine in by_agent(samples).values():
        for link in {link: None for sample in mine for link in sample.link_bytes}:
            grown = _growth(mine, edges, lambda sample, link=link: sample.link_bytes.get(link, 0))  # type: ignore[misc]  # a lambda's default
            found[link] = found.get(link, 0.0) + grown / width_s
    return {link: [round(float(v), 1) for v in series] for link, series in sorted(found.items())}


def _agent_means(
    samples: Sequence[Sample], edges: Floats, total: str, count: str, scale: float
) -> dict[str, list[float | None]]:
    """Return the mean of what was counted, by agent: growth of its sum by growth of its count."""
    found: dict[str, list[float | None]] = {}
    for agent, mine in sorted(by_agent(samples).items()):
        sums = _growth(mine, edges, attrgetter(total))
        counts = _growth(mine, edges, attrgetter(count))
        if counts.any():
            means = zip(sums, counts, strict=True)
            found[agent] = [round(float(scale * s / c), 4) if c > _NONE else None for s, c in means]
    return found


def _growth(mine: Sequence[Sample], edges: Floats, read: Callable[[Sample], float]) -> Floats:
    """Return how much a counter of one agent grew in each bin, evenly between two samples."""
    grown = [0.0] + [read(after) - read(before) for before, after in steps(mine)]
    at_edges = np.interp(edges, [sample.at_s for sample in mine], np.cumsum(grown))
    growth: Floats = np.diff(at_edges)
    return growth
