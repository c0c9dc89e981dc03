"""A report in words and tables: the same for the terminal and for the page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.grid import Grid
from experiments.report.page import KeyFigure

Report = dict[str, Any]
_MOSTLY = 0.99
_LATE_MS = 20.0


def title(report: Report) -> str:
    """Name a run: which trace it played and when, after its own name if it was given one."""
    run = report["run"]
    of_trace = f" of {Path(run['trace']).name}" if run["trace"] else ""
    begun = datetime.fromisoformat(run["begun"])
    said = f"{run['kind']}{of_trace}, {begun:%Y-%m-%d %H:%M} {begun.tzname()}"
    return said[0].upper() + said[1:] if run["name"] == run["kind"] else f"{run['name']}: {said}"


def subtitle(report: Report) -> str:
    """Say in one line what was run."""
    run = report["run"]
    pace = (
        f"open loop at {run['speed']:g} times the speed of the trace"
        if run["pace"] == "open"
        else f"closed loop with {run['in_flight']} under way"
    )
    devices = "1 device" if run["devices"] == 1 else f"{run['devices']:,} devices"
    again = f", resumed {run['resumed']} times" if run["resumed"] else ""
    state = "" if run["state"] == "whole" else " (interrupted)"
    how = "simulated, " if run["kind"] == "plan" else ""
    return f"{how}{pace}, {devices}, {run['played_s']:,.1f} s{again}{state}"


def warnings(report: Report) -> list[str]:
    """Return what a reader must not miss, each in a sentence."""
    said = []
    for found in report["saturation"]:
        span = f"from second {found['begin_s']:.0f} to {found['end_s']:.0f}"
        said.append(f"Saturated {span}: {found['said']} ({found['sign']}).")
    prompts = report["prompts"]
    if prompts["lost"]:
        said.append(f"{prompts['lost']:,} prompts got no result at all.")
    if prompts["unfinished"]:
        said.append(f"{prompts['unfinished']:,} prompts were under way when the run was stopped.")
    if prompts["not_sent"]:
        said.append(f"{prompts['not_sent']:,} of {prompts['planned']:,} prompts were not sent.")
    return said


def cards(report: Report) -> list[KeyFigure]:
    """Return the figures that stand at the top of the page."""
    prompts, arrivals = report["prompts"], report["arrivals"]
    latency, lateness = report["latency_ms"]["all"], arrivals["lateness_ms"]
    errors = sum(prompts["errors"].values())
    found = [
        KeyFigure(f"{prompts['answered']:,} of {prompts['sent']:,}", "prompts answered"),
        KeyFigure(f"{prompts['lost']:,}", "lost", prompts["lost"] > 0),
        KeyFigure(f"{errors:,}", "errors", errors > 0),
        KeyFigure(f"{prompts['degraded']:,}", "degraded answers", prompts["degraded"] > 0),
        KeyFigure(f"{_number(arrivals['achieved_per_s'])} /s", "sent"),
    ]
    if arrivals["achieved_share"] is not None:
        share = arrivals["achieved_share"]
        found.append(KeyFigure(f"{share:.2%}", "of the intended rate", share < _MOSTLY))
    if lateness:
        found.append(
            KeyFigure(
                f"{lateness['p99']:.1f} ms", "generator late, p99", lateness["p99"] > _LATE_MS
            )
        )
    if latency:
        found.append(KeyFigure(f"{latency['p50']:,.1f} ms", "latency, median"))
        found.append(KeyFigure(f"{latency['p99']:,.1f} ms", "latency, p99"))
    if report["accuracy"]:
        found.append(KeyFigure(f"{report['accuracy']['share']:.1%}", "right answers"))
    if report["texts"]:
        found += _text_cards(report["texts"])
    each = report["burden"]["trouble_free_bytes_per_prompt"]
    return [*found, KeyFigure(f"{each:,.0f} bytes", "burden per prompt")]


def _text_cards(texts: Report) -> list[KeyFigure]:
    found = [KeyFigure(f"{_number(texts['written_per_s'])} /s", "tokens of answers")]
    if texts["chrf"] is not None:
        found.append(KeyFigure(f"{texts['chrf']:.1f}", "chrF"))
    return found


def grids(report: Report) -> list[Grid]:
    """Return the tables, the most wanted first."""
    tables = [_tiers(report), _texts(report), _links(report), _agents(report), _faults(report)]
    return [table for table in tables if table.rows]


def _tiers(report: Report) -> Grid:
    columns = (
        "tier", "judged", "sent on", "answered", "share", "goes by", "threshold",
        "p50 ms", "p99 ms", "right",
    )  # fmt: skip
    rows = []
    for tier, figures in report["tiers"].items():
        latency = report["latency_ms"][tier] or {}
        rows.append(
            (
                tier,
                f"{figures['judged']:,}",
                _share(figures["escalated_share"]),
                f"{figures['answered']:,}",
                f"{figures['share']:.1%}",
                figures.get("goes_by") or "–",
                _number(figures["threshold_last"], 3),
                *(_number(latency.get(name)) for name in ("p50", "p99")),
                _share((figures["accuracy"] or {}).get("share")),
            )
        )
    return Grid("Who answered", columns, rows)


def _texts(report: Report) -> Grid:
    """Say what the texts that were answers took, and are worth."""
    named = {"all": report["texts"]}
    named |= {tier: figures["texts"] for tier, figures in report["tiers"].items()}
    rows = [
        (
            name,
            f"{texts['prompts']:,}",
            _number(texts["tokens_read"] / texts["prompts"]),
            _number(texts["tokens_written"] / texts["prompts"]),
            _number(texts["written_per_s"]),
            _number(texts["chrf"]),
        )
        for name, texts in named.items()
        if texts
    ]
    columns = ("tier", "texts", "tokens read", "written", "written /s", "chrF")
    return Grid("Texts: tokens of each answer in the mean", columns, rows)


def _links(report: Report) -> Grid:
    counted, once = report["burden"]["counted_bytes"], report["burden"]["trouble_free_bytes"]
    sent = max(report["prompts"]["sent"], 1)
    rows = [
        (
            link,
            f"{counted[link]:,}" if link in counted else "–",
            f"{once.get(link, 0):,}",
            f"{once.get(link, 0) / sent:,.1f}",
        )
        for link in dict.fromkeys([*once, *counted])
    ]
    columns = ("link", "bytes counted", "bytes without repeats", "per prompt")
    return Grid("Burden", columns, rows)


def _agents(report: Report) -> Grid:
    writes = any(figures["tokens_read"] for figures in report["agents"].values())
    rows = [
        (
            agent,
            f"{figures['batches']:,}",
            _number(figures["batch_prompts_mean"], 2),
            _number(figures["queue_ms_mean"], 2),
            _number(figures["queue_ms_p95_at_most"]),
            f"{figures['waiting_most']:.0f}",
            f"{figures['repeats']:,}",
            *(f"{figures[name]:,}" for name in ("tokens_read", "tokens_written") if writes),
        )
        for agent, figures in report["agents"].items()
    ]
    columns = (
        *("agent", "runs", "per run", "wait ms", "p95 ≤", "waiting", "repeats"),
        *(("tokens read", "written") if writes else ()),
    )
    return Grid("Agents: model runs, prompts in each, waits for the model's turn", columns, rows)


def _faults(report: Report) -> Grid:
    prompts = report["prompts"]
    rows = [("error", code, f"{count:,}") for code, count in prompts["errors"].items()]
    rows += [
        ("degraded", reason, f"{count:,}") for reason, count in prompts["degraded_reasons"].items()
    ]
    return Grid("Errors and degraded answers", ("kind", "why", "prompts"), rows)


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
