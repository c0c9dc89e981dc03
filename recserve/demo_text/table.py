"""The report of the demo of texts as tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from recserve.demo.table import KIB, last_line, milliseconds, percent
from recserve.demo_text.report import CASCADE

if TYPE_CHECKING:
    from rich.console import Console


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print the tiers, and the cascade beside each tier alone."""
    console.print(_tiers(report))
    console.print(_comparison(report))
    console.print(last_line(report, "captions"))


def print_chat(console: Console, turns: list[dict[str, Any]]) -> None:
    """Print what was asked and answered, with the confidence of each answer."""
    table = Table(title="A chat with SmolLM2-135M-Instruct", title_justify="left", show_lines=True)
    table.add_column("asked", ratio=2)
    table.add_column("answered", ratio=4)
    for column in ("tokens", "tokens/s", "confidence"):
        table.add_column(column, justify="right")
    for turn in turns:
        table.add_row(
            turn["asked"],
            turn["answered"],
            f"{turn['tokens']}",
            f"{turn['tokens_s']:.0f}",
            f"{turn['confidence']:.3f}",
        )
    console.print(table)


def _tiers(report: dict[str, Any]) -> Table:
    table = Table(title="Who translated", title_justify="left")
    table.add_column("tier")
    for column in ("answered", "tokens", "escalated", "β", "tokens/s", "p50 ms", "p95 ms"):
        table.add_column(column, justify="right")
    top = list(report["tiers"])[-1]
    for name, tier in report["tiers"].items():
        times = tier["latency_ms"]
        table.add_row(
            name,
            percent(tier["share"]),
            f"{tier['tokens']:,}",
            "–" if name == top else percent(tier["escalation_rate"]),
            "–" if name == top else percent(tier["beta"]),
            f"{tier['tokens_s']:,.0f}",
            *(milliseconds(times[q]) for q in ("p50", "p95")),
        )
    return table


def _comparison(report: dict[str, Any]) -> Table:
    table = Table(title="What it buys", title_justify="left")
    table.add_column("translated by")
    for column in ("BLEU", "95 % interval", "chrF", "KiB sent", "of cloud only"):
        table.add_column(column, justify="right")
    *_, top = report["alone_bytes"].values()
    sent = {**report["alone_bytes"], CASCADE: sum(report["burden_bytes"].values())}
    for who, size in sent.items():
        cascade = who == CASCADE
        table.add_row(
            "the cascade" if cascade else f"{who} only",
            f"{report['bleu'][who]:.1f}",
            _interval(report["bleu_interval_95"][who]),
            f"{report['chrf'][who]:.1f}",
            f"{size / KIB:.1f}",
            percent(size / top if top else None),
            style="bold" if cascade else "",
        )
    return table


def _interval(ends: list[float]) -> str:
    low, high = ends
    return f"{low:.1f} … {high:.1f}"
