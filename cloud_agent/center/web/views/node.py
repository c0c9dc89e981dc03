"""One agent: all that it says of itself, and what the centre makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloud_agent.center.web.views.fleet import lately, row_of, silent_s
from cloud_agent.center.web.views.models import transfer_of
from cloud_agent.center.web.views.prompts import told

if TYPE_CHECKING:
    from cloud_agent.center.app import Center
    from cloud_agent.center.registry.members import FleetMember

_PROMPTS = 5


def node(center: Center, member: FleetMember, now_s: float) -> dict[str, Any]:
    """Return the values of the page."""
    status, telemetry = member.status, member.telemetry
    wish = center.shipping.wishes.get(member.name)
    desired = member.desired or (wish.desired if wish else None)
    judged = telemetry.kept + telemetry.escalated if telemetry else 0
    return {
        "member": member,
        "row": row_of(member, now_s)._replace(silent_s=silent_s(member, now_s)),
        "status": status,
        "report": member.report,
        "telemetry": telemetry,
        "state": member.state,
        "desired": desired,
        "transfer": transfer_of(member),
        "lease_s": center.registry.lease_of(member),
        "kept_share": telemetry.kept / judged if telemetry and judged else None,
        "agreement": telemetry.agreed / telemetry.compared
        if telemetry and telemetry.compared
        else None,
        "telemetry_age_s": now_s - member.telemetry_s if telemetry else None,
        "jobs": _jobs(center, member.name),
        "prompts": [told(each) for each in center.listener.explained if each.device == member.name][
            :_PROMPTS
        ],
        "events": lately(center, member.name),
    }


def _jobs(center: Center, name: str) -> dict[str, Any] | None:
    """Return what became of the jobs that an agent got, by kind, and how slow it is believed."""
    rounds = center.rounds
    if rounds is None:
        return None
    speeds = {each["node"]: each for each in rounds.beliefs.told()["speed"]}
    return {"kinds": rounds.reports.of_node(name), "slowdown": speeds.get(name)}
