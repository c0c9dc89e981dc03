"""The cascade live: who kept what, and what that put on the links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cloud_agent.center.registry.history import in_order

if TYPE_CHECKING:
    from cloud_agent.center.app import Center

BAR: Final = 1000.0
"""Width of a bar in its own units; the page makes it as wide as there is room."""
_COUNTED: Final = ("kept", "escalated", "degraded", "failed")


def cascade(center: Center) -> dict[str, Any]:
    """Return the values of the page."""
    sums: dict[str, dict[str, int]] = {}
    links: dict[str, int] = {}
    for member in center.registry:
        telemetry = member.telemetry
        if telemetry is None:
            continue
        row = sums.setdefault(member.tier, dict.fromkeys((*_COUNTED, "agents"), 0))
        row["agents"] += 1
        for name in _COUNTED:
            row[name] += getattr(telemetry, name)
        for link, size in telemetry.link_bytes.items():
            links[link] = links.get(link, 0) + size
    kept = sum(row["kept"] for row in sums.values()) or 1
    widest = max(links.values(), default=0) or 1
    shares, at = [], 0.0
    for tier in in_order(sums):
        share = sums[tier]["kept"] / kept
        shares.append({"tier": tier, "x": at, "width": BAR * share, "share": share, **sums[tier]})
        at += BAR * share
    return {
        "shares": shares,
        "links": [(name, size, BAR * size / widest) for name, size in sorted(links.items())],
    }
