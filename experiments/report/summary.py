"""The figures of a run: plain numbers, all of them from its records, ticks and samples."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from experiments.replay.saturation import find_saturation
from experiments.report.agents import agent_figures, link_totals
from experiments.report.series import make_series
from shared.telemetry.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.report.run import Flags, Floats, Played

_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def summarise(played: Played) -> dict[str, Any]:
    """Return everything that ``report.json`` holds; times are in seconds unless named ms."""
    run = played.run
    return {
        "run": {
            "name": run.name,
            "kind": run.kind,
            "trace": run.settings.get("trace", {}).get("file", ""),
            "begun": run.begun,
            "state": run.state,
            "pace": run.pace,
            "in_flight": run.in_flight if run.pace == "closed" else None,
            "speed": run.speed,
            "devices": run.devices,
            "played_s": round(run.played_s, 3),
            "resumed": run.resumed,
            "connected_s": run.connected_s,
            "memory_megabytes": run.memory_megabytes,
            "versions": run.versions,
        },
        "prompts": _prompts(played),
        "arrivals": _arrivals(played),
        "saturation": [found._asdict() for found in find_saturation(played.ticks)]
        if run.pace == "open"
        else [],
        "latency_ms": {"all": quantiles_ms(played.latency_s[~played.lost])}
        | {tier: quantiles_ms(played.latency_s[played.by(tier)]) for tier in played.tiers},
        "tiers": {tier: _tier(played, tier) for tier in played.tiers},
        "accuracy": accuracy(played, played.labelled),
        "texts": texts(played, played.written),
        "burden": _burden(played),
        "agents": agent_figures(played.samples),
        "series": make_series(played),
    }


def quantiles_ms(values_s: Floats) -> dict[str, float] | None:
    """Return quantiles and the maximum in milliseconds; None where there is no value."""
    if not len(values_s):
        return None
    figures = {name: np.quantile(values_s, share) for name, share in _QUANTILES.items()}
    figures["max"] = values_s.max()
    return {name: round(float(value) * 1000, 3) for name, value in figures.items()}


def accuracy(played: Played, among: Flags) -> dict[str, Any] | None:
    """Return the share of right answers with its 95 % Wilson interval; None without labels."""
    prompts = int(among.sum())
    if not prompts:
        return None
    right = int(played.right[among].sum())
    interval = [round(end, 4) for end in wilson(right, prompts)]
    return {"labelled": prompts, "share": round(right / prompts, 4), "interval_95": interval}


def texts(played: Played, among: Flags) -> dict[str, Any] | None:
    """Return the tokens of texts that were answers, and what these are worth; None without any.

    ``written_per_s`` is over the time in which answers came. ``chrf`` is the mean of those for
    which it is known what is wanted, from 0 to 100.
    """
    if not among.any():
        return None
    read, written = (int(count) for count in played.tokens[among].sum(axis=0))
    span_s = float(played.done_s.max() - played.sent_s.min())
    known = played.chrf[among & ~np.isnan(played.chrf)]
    return {
        "prompts": int(among.sum()),
        "tokens_read": read,
        "tokens_written": written,
        "written_per_s": round(written / span_s, 2) if span_s > 0 else None,
        "chrf": round(float(known.mean()), 2) if len(known) else None,
    }


def _prompts(played: Played) -> dict[str, Any]:
    run = played.run
    return {
        "planned": run.prompts,
        "sent": len(played.records) + run.unfinished,
        "answered": int(played.answered.sum()),
        "errors": dict(Counter(r.error for r in played.records if r.error)),
        "degraded": int(played.degraded.sum()),
        "degraded_reasons": dict(Counter(r.degraded for r in played.records if r.degraded)),
        "lost": int(played.lost.sum()),
        "unfinished": run.unfinished,
        "not_sent": run.prompts - len(played.records) - run.unfinished,
        "answered_twice": run.twice,
    }


def _arrivals(played: Played) -> dict[str, Any]:
    """Return the intended and the achieved rate, over the prompts that were sent."""
    lateness = quantiles_ms(np.maximum(played.lateness_s, 0.0))
    intended = _rate(played.at_s)
    achieved = _rate(np.sort(played.sent_s))
    closed = played.run.pace == "closed"
    return {
        "intended_per_s": None if closed else intended,
        "achieved_per_s": achieved,
        "achieved_share": None
        if closed or not (intended and achieved)
        else round(achieved / intended, 5),
        "completed_per_s": _rate(np.sort(played.done_s)),
        "lateness_ms": None if closed else lateness,
    }


def _rate(times_s: NDArray[np.float64]) -> float | None:
    """Return events per second between the first and the last."""
    span_s = float(times_s[-1] - times_s[0])
    return round((len(times_s) - 1) / span_s, 4) if span_s > 0 else None


def _tier(played: Played, tier: str) -> dict[str, Any]:
    mine = played.by(tier)
    _, thresholds = played.seen_by(tier)
    judged = len(thresholds)
    passed_on = sum(
        hop.tier == tier and hop is not record.hops[-1]
        for record in played.records
        for hop in record.hops
    )
    answered = int(played.answered.sum())
    return {
        "answered": int(mine.sum()),
        "share": round(float(mine.sum()) / answered, 4) if answered else 0.0,
        "judged": judged,
        "escalated_share": round(passed_on / judged, 4) if judged else None,
        "goes_by": ", ".join(played.goes_by(tier)),
        "threshold_last": round(float(np.median(thresholds[-100:])), 4) if judged else None,
        "accuracy": accuracy(played, mine & played.labelled),
        "texts": texts(played, mine & played.written),
    }


def _burden(played: Played) -> dict[str, Any]:
    """Return bytes by link: as the agents counted, and as one trouble-free pass would cost."""
    once: Counter[str] = Counter()
    for record in played.records:
        once.update(record.packet_bytes)
    return {
        "counted_bytes": link_totals(played.samples),
        "trouble_free_bytes": dict(once),
        "trouble_free_bytes_per_prompt": round(sum(once.values()) / len(played.records), 2),
    }
