"""What each page shows, as values: templates only lay them out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from cloud_agent.center.registry.history import TIERS
from cloud_agent.center.web.placement_view import placement

if TYPE_CHECKING:
    from cloud_agent.center.app import Center
    from cloud_agent.center.registry.members import FleetMember

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")
_STEP: Final = 1000
_BAR: Final = 1000.0
"""Width of a bar in its own units; the page makes it as wide as there is room."""
_ROWS: Final = 300
_EVENTS: Final = 12
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def values(center: Center, page: str, agent: str, now_s: float) -> dict[str, Any] | None:
    """Return what a page shows; None for an agent that nobody knows."""
    common: dict[str, Any] = {
        "site": center.settings.site,
        "clock": time.strftime("%H:%M:%S"),
        "counts": {life: center.registry.count(life) for life in ("alive", "suspect", "dead")},
        "rollout": center.rollouts.current,
        "rollout_says": center.rollouts.says,
    }
    if page == "node":
        member = center.registry.find(agent)
        return None if member is None else common | _node(center, member, now_s)
    if page == "cascade":
        return common | _cascade(center)
    if page == "models":
        return common | _models(center)
    if page == "placement":
        return common | placement(center)
    return common | _fleet(center, now_s)


def _fleet(center: Center, now_s: float) -> dict[str, Any]:
    tiers: dict[str, list[FleetMember]] = {}
    for member in center.registry:
        tiers.setdefault(member.tier or "unknown", []).append(member)
    order = [tier for tier in TIERS if tier in tiers] + sorted(set(tiers) - set(TIERS))
    rows = [_row(member, now_s) for tier in order for member in tiers[tier]]
    return {
        "tiers": [(tier, [(m.name, m.life) for m in tiers[tier]]) for tier in order],
        "rows": rows[:_ROWS],
        "more": max(len(rows) - _ROWS, 0),
        "now": _now(center),
    }


def _row(member: FleetMember, now_s: float) -> dict[str, Any]:
    report, status, telemetry = member.report, member.status, member.telemetry
    return {
        "name": member.name,
        "tier": member.tier,
        "life": member.life,
        "stale_s": _silent_s(member, now_s),
        "model": status.model if status else "",
        "bundle": status.bundle if status else "",
        "machine": (report.processor or report.machine) if report else "",
        "cores": report.cores if report else None,
        "memory": report.memory_bytes if report else None,
        "p95_ms": telemetry.p95_ms if telemetry else None,
        "waiting": telemetry.waiting if telemetry else None,
        "phase": member.state.phase if member.state else "idle",
    }


def _now(center: Center) -> dict[str, Any]:
    """Return the last sample in sums over all tiers."""
    samples = center.history.samples
    if not samples:
        return {"prompts_s": None, "degraded_s": None, "p95_ms": None, "bytes_s": None}
    last = samples[-1]
    tiers = last.tiers.values()
    return {
        "prompts_s": last.tiers["device"].kept_s + last.tiers["device"].escalated_s
        if "device" in last.tiers
        else 0.0,
        "degraded_s": sum(tier.degraded_s for tier in tiers),
        "p95_ms": max((tier.p95_ms or 0.0 for tier in tiers), default=0.0),
        "bytes_s": sum(last.link_bytes_s.values()),
    }


def _node(center: Center, member: FleetMember, now_s: float) -> dict[str, Any]:
    status, telemetry = member.status, member.telemetry
    wish = center.shipping.wishes.get(member.name)
    desired = member.desired or (wish.desired if wish else None)
    judged = telemetry.kept + telemetry.escalated if telemetry else 0
    return {
        "member": member,
        "row": _row(member, now_s),
        "report": member.report,
        "telemetry": telemetry,
        "state": member.state,
        "desired": desired,
        "boot": status.boot if status else "",
        "epoch": status.epoch if status else 0,
        "tasks": ", ".join(status.tasks) if status else "",
        "heartbeat_s": status.heartbeat_s if status else None,
        "kept_share": telemetry.kept / judged if telemetry and judged else None,
        "agreement": telemetry.agreed / telemetry.compared
        if telemetry and telemetry.compared
        else None,
        "telemetry_age_s": now_s - member.telemetry_s if telemetry else None,
        "events": _lately(center, member.name),
    }


def _lately(center: Center, agent: str) -> list[tuple[float, str, str]]:
    """Return when what happened to an agent, the latest first."""
    found = []
    for event in reversed(center.events.after(0)):
        if event.agent == agent and event.kind not in ("telemetry", "report"):
            data = event.data
            said = (data.get("life") or data.get("phase") or "", data.get("detail", ""))
            found.append((event.at, event.kind, " ".join(filter(None, said))))
    return found[:_EVENTS]


def _cascade(center: Center) -> dict[str, Any]:
    sums: dict[str, dict[str, float]] = {}
    links: dict[str, int] = {}
    for member in center.registry:
        telemetry = member.telemetry
        if telemetry is None:
            continue
        row = sums.setdefault(
            member.tier, {"kept": 0, "escalated": 0, "degraded": 0, "failed": 0, "agents": 0}
        )
        for name in ("kept", "escalated", "degraded", "failed"):
            row[name] += getattr(telemetry, name)
        row["agents"] += 1
        for link, size in telemetry.link_bytes.items():
            links[link] = links.get(link, 0) + size
    kept = sum(row["kept"] for row in sums.values()) or 1
    widest = max(links.values(), default=0) or 1
    order = [tier for tier in TIERS if tier in sums] + sorted(set(sums) - set(TIERS))
    shares, at = [], 0.0
    for tier in order:
        width = _BAR * sums[tier]["kept"] / kept
        shares.append({"tier": tier, "x": at, "width": width, **sums[tier],
                       "share": sums[tier]["kept"] / kept})  # fmt: skip
        at += width
    return {
        "shares": shares,
        "links": [(name, size, _BAR * size / widest) for name, size in sorted(links.items())],
    }


def _models(center: Center) -> dict[str, Any]:
    serving: dict[str, list[str]] = {}
    wanted: dict[str, int] = {}
    transfers: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for member in center.registry:
        used = {b.digest for b in member.report.bundles if b.in_use} if member.report else set()
        for digest in used:
            serving.setdefault(digest, []).append(member.name)
        state = member.state
        if state is None:
            continue
        if state.wanted and state.wanted != state.active:
            row = {"name": member.name, "state": state, "done": _BAR * _done(state)}
            (refused if state.phase in ("refused", "rolled back") else transfers).append(row)
    for wish in center.shipping.wishes.values():
        wanted[wish.desired.active] = wanted.get(wish.desired.active, 0) + 1
    return {
        "bundles": [
            {
                "bundle": b,
                "serving": len(serving.get(b.digest, ())),
                "wanted": wanted.get(b.digest, 0),
            }
            for b in center.shipping.bundles
        ],
        "transfers": transfers,
        "refused": refused,
        "sent": center.shipping.pieces.sent_bytes,
    }


def _done(state: Any) -> float:
    return state.bytes_done / state.bytes_total if state.bytes_total else 0.0


def _silent_s(member: FleetMember, now_s: float) -> float | None:
    """Return for how long nothing came of an agent; None if nothing ever did."""
    heard_s = max(member.heard_s, member.telemetry_s)
    return None if heard_s == float("-inf") else max(now_s - heard_s, 0.0)


def size(value: float | None) -> str:
    """Return a size as people read it."""
    if value is None:
        return "–"
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    raise AssertionError


def span(value: float | None) -> str:
    """Return a time span as people read it."""
    if value is None:
        return "–"
    if value < _MINUTE:
        return f"{value:.0f} s"
    if value < _HOUR:
        return f"{value / _MINUTE:.0f} min"
    return f"{value / _HOUR:.1f} h" if value < _DAY else f"{value / _DAY:.1f} d"


def number(value: float | None) -> str:
    """Return a figure with as many places as it deserves."""
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004


def percent(value: float | None) -> str:
    """Return a share in percent."""
    return "–" if value is None else f"{value:.1%}"


def clock(value: float) -> str:
    """Return a time of day."""
    return time.strftime("%H:%M:%S", time.localtime(value))


FILTERS: Final = {
    "size": size,
    "span": span,
    "number": number,
    "percent": percent,
    "clock": clock,
}
