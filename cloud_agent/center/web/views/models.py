"""Models: what is shipped, to whom it is on its way, and who did not take it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from cloud_agent.center.web.views.cascade import BAR

if TYPE_CHECKING:
    from cloud_agent.center.app import Center
    from cloud_agent.center.registry.members import FleetMember

_NOT_TAKEN = ("refused", "rolled back")


def models(center: Center) -> dict[str, Any]:
    """Return the values of the page."""
    serving = Counter(
        bundle.digest
        for member in center.registry
        for bundle in (member.report.bundles if member.report else ())
        if bundle.in_use
    )
    wanted = Counter(wish.desired.active for wish in center.shipping.wishes.values())
    moving = [transfer for member in center.registry if (transfer := transfer_of(member))]
    return {
        "bundles": [
            {"bundle": b, "serving": serving[b.digest], "wanted": wanted[b.digest]}
            for b in center.shipping.bundles
        ],
        "transfers": [each for each in moving if each["state"].phase not in _NOT_TAKEN],
        "refused": [
            {"name": member.name, "state": member.state}
            for member in center.registry
            if member.state is not None and member.state.phase in _NOT_TAKEN
        ],
    }


def transfer_of(member: FleetMember) -> dict[str, Any] | None:
    """Return how far an agent is with a model that it does not serve yet; None: with none."""
    state = member.state
    if state is None or not state.wanted or state.wanted == state.active:
        return None
    left = max(state.bytes_total - state.bytes_done, 0)
    return {
        "name": member.name,
        "state": state,
        "width": BAR * state.bytes_done / state.bytes_total if state.bytes_total else 0.0,
        "left_s": left / state.bytes_s if left and state.bytes_s else None,
    }
