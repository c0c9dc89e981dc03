"""The demo's report as tables in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

KIB = 1024


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print the tiers, the cascade beside each tier alone and as published, and the burden."""
    console.print(_tiers(report))
    console.print(_comparison(report))
    if report["as_published"]:
        console.print(_as_published(report))
    console.print(_links(report))
    console.print(last_line(report, "prompts"))


def last_line(report: dict[str, Any], what: str) -> str:
    """Return what became of ``what`` was streamed."""
    return (
        f"{report['prompts']} {what}, {report['results']} results, "
        f"{report['prompts'] - report['results']} lost, "
        f"{report['duplicates']} answered twice, {report['errors']} errors, "
        f"{report['degraded']} degraded, {report['elapsed_s']:.1f} s"
    )


def _tiers(report: dict[str, Any]) -> Table:
    table = Table(title="Who answered", title_justify="left")
    table.add_column("tier")
    for column in ("answered", "accuracy", "escalated", "β", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(column, justify="right")
    top = list(report["tiers"])[-1]
    for name, tier in report["tiers"].items():
        times = tier["latency_ms"]
        table.add_row(
            name,
            percent(tier["share"]),
            percent(tier["accuracy"]),
            "–" if name == top else percent(tier["escalation_rate"]),
            "–" if name == top else percent(tier["beta"]),
            *(milliseconds(times[q]) for q in ("p50", "p95", "p99")),
        )
    return table


def _comparison(report: dict[str, Any]) -> Table:
    table = Table(title="What it buys", title_justify="left")
    table.add_column("answered by")
    table.add_column("accuracy", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("KiB sent", justify="right")
    table.add_column("of cloud only", justify="right")
    *_, top = report["baselines"].values()
    rows = [(f"{name} only", base) for name, base in report["baselines"].items()]
    total = sum(report["burden_bytes"].values())
    rows.append(("the cascade", report | {"burden_bytes": total}))
    for name, row in rows:
        low, high = row["accuracy_interval_95"] or (None, None)
        table.add_row(
            name,
            percent(row["accuracy"]),
            f"{percent(low)} … {percent(high)}",
            f"{row['burden_bytes'] / KIB:.1f}",
            percent(row["burden_bytes"] / top["burden_bytes"]),
            style="bold" if name == "the cascade" else "",
        )
    return table


def _as_published(report: dict[str, Any]) -> Table:
    """Set the cascade beside the same prompts under RecServe's rule on the largest probability."""
    published = report["as_published"]
    *_, top = report["baselines"].values()
    table = Table(
        title="What going by agreement changes",
        title_justify="left",
        caption=_gain(published),
        caption_justify="left",
    )
    table.add_column("the same prompts and models")
    table.add_column("as published", justify="right")
    table.add_column("by agreement", justify="right", style="bold")
    for name, tier in report["tiers"].items():
        table.add_row(
            f"answered by the {name}", percent(published["share"][name]), percent(tier["share"])
        )
    pair = (published, report)
    table.add_row("times sent up a link", *(f"{one['sent']:,}" for one in pair))
    table.add_row("accuracy", *(percent(one["accuracy"]) for one in pair))
    sizes = [sum(one["burden_bytes"].values()) for one in pair]
    table.add_row("KiB sent", *(f"{size / KIB:.1f}" for size in sizes))
    table.add_row("of cloud only", *(percent(size / top["burden_bytes"]) for size in sizes))
    return table


def _gain(published: dict[str, Any]) -> str:
    """Say how much more is right by agreement, and whether so few prompts can tell."""
    low, high = published["gained_interval_95"]
    gained = f"{_points(published['gained'])} [{_points(low)}, {_points(high)}]"
    said = f"points of accuracy by agreement: {gained}"
    return said if low > 0 or high < 0 else f"{said},\nno difference that so few prompts can tell"


def _points(share: float) -> str:
    return f"{share * 100:+.1f}"


def _links(report: dict[str, Any]) -> Table:
    table = Table(title="Bytes on each link", title_justify="left")
    table.add_column("link")
    table.add_column("KiB", justify="right")
    table.add_column("of cloud only", justify="right")
    *_, top = report["baselines"].values()
    for link, size in report["burden_bytes"].items():
        table.add_row(link, f"{size / KIB:.1f}", percent(size / top["burden_bytes"]))
    return table


def percent(share: float | None) -> str:
    """Return a share in percent; a dash where there is none."""
    return "–" if share is None else f"{share * 100:.1f} %"


def milliseconds(value: float | None) -> str:
    """Return a time; a dash where there is none."""
    return "–" if value is None else f"{value:.1f}"
