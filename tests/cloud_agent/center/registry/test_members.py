"""The registry as a value: leases, lives, and messages of lives that are over."""

from __future__ import annotations

from typing import Literal

import pytest

from cloud_agent.center.registry import members
from cloud_agent.center.registry.members import Registry
from shared.membership.status import Status
from shared.wire.control import NodeReport, Telemetry

LEASE_S = 10.0


def status(
    state: Literal["online", "offline"] = "online", epoch: int = 5, boot: str = "b5"
) -> Status:
    return Status(state, epoch, model="bag", boot=boot, heartbeat_s=1.0)


@pytest.fixture
def registry() -> Registry:
    return Registry(LEASE_S)


def life(registry: Registry) -> str:
    member = registry.find("pi")
    assert member is not None
    return member.life


def test_an_agent_is_alive_for_a_lease_then_suspect_and_after_three_dead(
    registry: Registry,
) -> None:
    registry.hear_status("pi", "device", status(), 100.0, live=True)

    assert registry.age(109.9) == []
    assert [member.name for member in registry.age(110.0)] == ["pi"]
    assert life(registry) == "suspect"
    assert registry.age(129.9) == []
    assert [member.life for member in registry.age(130.0)] == ["dead"]
    assert registry.age(1e6) == []


def test_a_lost_agent_that_is_heard_again_is_alive_again(registry: Registry) -> None:
    registry.hear_status("pi", "device", status(), 100.0, live=True)
    registry.age(1000.0)
    registry.hear_status("pi", "device", status(epoch=6, boot="b6"), 1001.0, live=True)

    assert life(registry) == "alive"


def test_a_stale_will_never_takes_a_later_life_down(registry: Registry) -> None:
    registry.hear_status("pi", "device", status(epoch=6, boot="b6"), 100.0, live=True)
    changed = registry.hear_status("pi", "device", status("offline"), 100.1, live=True)

    assert changed is None
    assert life(registry) == "alive"


def test_its_own_will_does(registry: Registry) -> None:
    registry.hear_status("pi", "device", status(), 100.0, live=True)
    registry.hear_status("pi", "device", status("offline"), 100.1, live=True)

    assert life(registry) == "dead"


def test_what_the_broker_had_kept_makes_an_agent_suspect_until_it_is_heard(
    registry: Registry,
) -> None:
    registry.hear_status("pi", "device", status(), 100.0, live=False)
    assert life(registry) == "suspect"
    registry.hear_status("pi", "device", status(), 101.0, live=True)
    assert life(registry) == "alive"


def test_kept_words_of_an_agent_that_never_speaks_are_those_of_a_dead_one(
    registry: Registry,
) -> None:
    registry.hear_status("pi", "device", status(), 100.0, live=False)
    registry.age(100.0 + 2 * LEASE_S)

    assert life(registry) == "dead"


def test_a_lease_is_never_shorter_than_two_heartbeats_of_the_agent(registry: Registry) -> None:
    slow = Status("online", 5, boot="b5", heartbeat_s=60.0)
    registry.hear_status("pi", "device", slow, 100.0, live=True)

    assert registry.age(219.0) == []
    assert [member.life for member in registry.age(221.0)] == ["suspect"]


def test_telemetry_keeps_an_agent_alive_but_raises_none_that_said_goodbye(
    registry: Registry,
) -> None:
    registry.hear_status("pi", "device", status(), 100.0, live=True)
    registry.hear_telemetry("pi", Telemetry(kept=3), 109.0)
    assert registry.age(118.0) == []

    registry.hear_status("pi", "device", status("offline"), 119.0, live=True)
    registry.hear_telemetry("pi", Telemetry(kept=4), 119.1)
    assert life(registry) == "dead"


def test_telemetry_of_a_stranger_is_not_kept(registry: Registry) -> None:
    assert registry.hear_telemetry("who", Telemetry(), 1.0) is None
    assert len(registry) == 0


def test_a_cleared_status_removes_an_agent_for_good(registry: Registry) -> None:
    registry.hear_report("pi", NodeReport(tier="device", release="1"))
    registry.hear_status("pi", "device", None, 1.0, live=True)

    assert len(registry) == 0


def test_a_fault_of_a_clock_keeps_nobody_out_for_ever(registry: Registry) -> None:
    far = Status("online", 1 << 52, boot="x")
    registry.hear_status("pi", "device", far, 100.0, live=True)
    registry.hear_status("pi", "device", status("offline"), 101.0, live=True, clock_ms=10)

    assert life(registry) == "dead"


def test_of_more_agents_than_are_kept_in_mind_the_dead_make_room(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "LIMIT", 2)
    registry.hear_status("pi", "device", status("offline"), 100.0, live=True)
    registry.hear_status("nano", "device", status(), 100.0, live=True)

    assert registry.hear_status("orin", "device", status(), 100.0, live=True) is not None
    assert registry.hear_status("one-more", "device", status(), 100.0, live=True) is None
    assert registry.find("pi") is None
    assert registry.find("nano") is not None
