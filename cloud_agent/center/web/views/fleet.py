"""The fleet at a glance: who lives, by tier, and what they do now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cloud_agent.center.registry.history import in_order

if TYPE_CHECKING:
    from cloud_agent.center.app import Center
    from cloud_agent.center.registry.members import FleetMember

_ROWS: Final = 300
_EVENTS: Final = 12
_TOO_MANY: Final = ("telemetry", "report", "explained")
"""Kinds of events that come all the time and tell people nothing."""


def fleet(center: Center, now_s: float) -> dict[str, Any]:
    """Return the values of the page."""
    tiers: dict[str, list[FleetMember]] = {}
    for member in center.registry:
        tiers.setdefault(member.tier or "unknown", []).append(member)
    order = in_order(tiers)
    members = [member for tier in order for member in tiers[tier]]
    return {
        "tiers": [(tier, [(m.name, m.life) for m in tiers[tier]]) for tier in order],
        "rows": [row_of(member, now_s) for member in members[:_ROWS]],
        "more": max(len(members) - _ROWS, 0),
        "now": _now(center),
        "events": lately(center),
    }


class FleetRow(NamedTuple):
    """One agent in a line; the same values make the same line, which is laid out once."""

    name: str
    tier: str
    life: str
    model: str
    bundle: str
    machine: str
    cores: int | None
    memory: int | None
    p95_ms: float | None
    waiting: int | None
    phase: str
    silent_s: float | None
    """None for one that lives."""


def row_of(member: FleetMember, now_s: float) -> FleetRow:
    """Return one agent in a line."""
    report, status, telemetry = member.report, member.status, member.telemetry
    return FleetRow(
        name=member.name,
        tier=member.tier,
        life=member.life,
        model=status.model if status else "",
        bundle=status.bundle if status else "",
        machine=(report.processor or report.machine) if report else "",
        cores=report.cores if report else None,
        memory=report.memory_bytes if report else None,
        p95_ms=telemetry.p95_ms if telemetry else None,
        waiting=telemetry.waiting if telemetry else None,
        phase=member.state.phase if member.state else "idle",
        silent_s=None if member.life == "alive" else silent_s(member, now_s),
    )


def lately(center: Center, agent: str = "") -> list[dict[str, Any]]:
    """Return what happened last, the latest first: to one agent, or to anybody."""
    found: list[dict[str, Any]] = []
    for event in reversed(center.events.after(0)):
        if event.kind in _TOO_MANY or agent not in ("", event.agent):
            continue
        said = (event.data.get(key, "") for key in ("life", "phase", "detail", "name", "reason"))
        text = " · ".join(str(part) for part in said if part)
        found.append({"at": event.at, "kind": event.kind, "agent": event.agent, "said": text})
        if len(found) == _EVENTS:
            break
    return found


def silent_s(member: FleetMember, now_s: float) -> float | None:
    """Return for how long nothing came of an agent; None if nothing ever did."""
    heard_s = max(member.heard_s, member.telemetry_s)
    return None if heard_s == float("-inf") else max(now_s - heard_s, 0.0)


def _now(center: Center) -> dict[str, Any]:
    """Return the last sample in sums over all tiers."""
    samples = center.history.samples
    if not samples:
        return {"prompts_s": None, "degraded_s": None, "p95_ms": None, "bytes_s": None}
    last = samples[-1]
    tiers = last.tiers.values()
    device = last.tiers.get("device")
    return {
        "prompts_s": device.kept_s + device.escalated_s if device else 0.0,
        "degraded_s": sum(tier.degraded_s for tier in tiers),
        "p95_ms": max((tier.p95_ms or 0.0 for tier in tiers), default=0.0),
        "bytes_s": sum(last.link_bytes_s.values()),
    }
