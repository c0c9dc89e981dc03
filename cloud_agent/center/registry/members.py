"""The registry: every agent of the fleet as its own retained messages tell. Pure, told the time.

Whether an agent lives is told by its status, which carries epoch and boot id: the last will of an
earlier life never takes a later one down. An agent is *alive* while it was heard within its lease,
*suspect* after one missed lease, *dead* after three, or at once when its will or its goodbye says
so. What the broker had kept proves only that the agent was there once: it is suspect until heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from shared.membership.incarnation import AHEAD_MS
from shared.membership.status import Status
from shared.wire.control import Desired, NodeReport, NodeState, Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

Life: TypeAlias = Literal["alive", "suspect", "dead"]
LIMIT: Final = 20_000
"""Agents that are kept in mind; on an open broker anybody can make up more."""
_DEAD_LEASES: Final = 3
_TOLD: Final = ("name", "tier", "life", "status", "report", "state", "desired", "telemetry")
_LATE_HEARTBEATS: Final = 2.0


class FleetMember(msgspec.Struct, kw_only=True):
    """All that is known of one agent, and when it was last heard."""

    name: str
    tier: str = ""
    status: Status | None = None
    report: NodeReport | None = None
    state: NodeState | None = None
    desired: Desired | None = None
    telemetry: Telemetry | None = None
    heard_s: float = float("-inf")
    telemetry_s: float = float("-inf")
    life: Life = "suspect"

    def told(self) -> dict[str, Any]:
        """Return all that the agent told, and whether it lives, by name, as programs read it."""
        return {name: getattr(self, name) for name in _TOLD}


class Registry:
    """The agents of a fleet by name."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._members: dict[str, FleetMember] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[FleetMember]:
        """Go through all agents by name."""
        return (self._members[name] for name in sorted(self._members))

    def find(self, name: str) -> FleetMember | None:
        """Return what is known of one agent."""
        return self._members.get(name)

    def holds(self, name: str, digest: str) -> bool:
        """Say whether an agent told that it has a bundle."""
        member = self._members.get(name)
        held = member.report.bundles if member is not None and member.report is not None else ()
        return any(bundle.digest == digest for bundle in held)

    def hear_status(
        self,
        name: str,
        tier: str,
        status: Status | None,
        now_s: float,
        *,
        live: bool,
        clock_ms: int = 0,
    ) -> FleetMember | None:
        """Take in a status; return the agent if that changed anything.

        None clears an agent for good. One that is not ``live`` was kept by the broker.
        """
        if status is None:
            return self._members.pop(name, None)
        member = self._known(name)
        if member is None or _is_ghost(status, member.status, clock_ms):
            return None
        member.tier, member.status = tier, status
        if status.state == "offline":
            member.life = "dead"
            return member
        if live:
            member.heard_s = now_s
            member.life = "alive"
        elif member.life == "dead":
            member.life = "suspect"
        if member.heard_s == float("-inf"):
            # It has its lease to say something, from now on.
            member.heard_s = now_s - self.lease_of(member)
        return member

    def hear_report(self, name: str, report: NodeReport) -> FleetMember | None:
        """Take in what an agent says it is."""
        member = self._known(name)
        if member is not None:
            member.report = report
            member.tier = member.tier or report.tier
        return member

    def hear_state(self, name: str, state: NodeState) -> FleetMember | None:
        """Take in how far an agent is with its model."""
        member = self._known(name)
        if member is not None:
            member.state = state
        return member

    def hear_desired(self, name: str, desired: Desired) -> FleetMember | None:
        """Take in what is wanted of an agent."""
        member = self._known(name)
        if member is not None:
            member.desired = desired
        return member

    def hear_telemetry(self, name: str, telemetry: Telemetry, now_s: float) -> FleetMember | None:
        """Take in what an agent counts; it is alive, then, unless it said goodbye."""
        member = self._members.get(name)
        if member is None:
            return None
        member.telemetry, member.telemetry_s = telemetry, now_s
        if member.status is not None and member.status.state == "online":
            member.heard_s, member.life = now_s, "alive"
        return member

    def age(self, now_s: float) -> list[FleetMember]:
        """Return the agents whose lease ran out since the last time, as suspect or dead."""
        aged = []
        for member in self._members.values():
            missed = (now_s - member.heard_s) / self.lease_of(member)
            life: Life = member.life
            if life != "dead" and missed >= _DEAD_LEASES:
                life = "dead"
            elif life == "alive" and missed >= 1:
                life = "suspect"
            if life != member.life:
                member.life = life
                aged.append(member)
        return aged

    def count(self, life: Life) -> int:
        """Return how many agents are alive, suspect or dead."""
        return sum(member.life == life for member in self._members.values())

    def lease_of(self, member: FleetMember) -> float:
        """Return an agent's lease: never shorter than two of its own heartbeats."""
        beat_s = member.status.heartbeat_s if member.status is not None else 0.0
        return max(self._lease_s, _LATE_HEARTBEATS * beat_s)

    def _known(self, name: str) -> FleetMember | None:
        member = self._members.get(name)
        if member is None and self._has_room():
            member = self._members[name] = FleetMember(name=name)
        return member

    def _has_room(self) -> bool:
        """Say whether one more is kept in mind; a dead one makes room."""
        if len(self._members) < LIMIT:
            return True
        dead = next((name for name, one in self._members.items() if one.life == "dead"), None)
        return dead is not None and self._members.pop(dead) is not None


def _is_ghost(status: Status, known: Status | None, clock_ms: int) -> bool:
    """Say whether a status is of an earlier life than the one that is known to be online."""
    if known is None or known.state == "offline" or status.boot == known.boot:
        return False
    if known.epoch > max(status.epoch, clock_ms) + AHEAD_MS:
        return False
    return (status.epoch, status.boot) < (known.epoch, known.boot)
