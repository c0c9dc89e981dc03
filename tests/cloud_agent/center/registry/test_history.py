"""What the fleet did over the last minutes: kept for agents that are there, and for no others."""

from __future__ import annotations

from cloud_agent.center.registry.history import FleetHistory
from cloud_agent.center.registry.members import FleetMember
from shared.wire.control import Telemetry


def test_an_agent_that_was_removed_leaves_no_trace_and_one_that_is_silent_does() -> None:
    history = FleetHistory()
    silent, removed = (
        FleetMember(name=name, tier="edge", telemetry=Telemetry(), life="alive")
        for name in ("silent", "removed")
    )
    history.sample([silent, removed], 1.0)
    silent.life = "dead"
    history.sample([silent], 2.0)

    assert list(history.traces) == ["silent"]
