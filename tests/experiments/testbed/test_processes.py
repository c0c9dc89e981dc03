"""What ``experiments.testbed.processes`` gives to those who start agents."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from experiments.testbed.processes import (
    AgentEntry,
    Processes,
    UpSettings,
    free_port,
    on_free_ports,
    upward,
)
from shared.agent.settings import TierSettings


def test_a_port_is_not_given_twice_before_all_were() -> None:
    """Whoever was given one may not listen on it yet."""
    given = [free_port() for _ in range(2_000)]

    assert len(set(given)) == len(given)
    assert all(20_000 <= port < 32_000 for port in given)


def test_what_runs_on_free_ports_shares_none_and_keeps_its_other_settings() -> None:
    edge = AgentEntry(role="edge", config="edge.yaml", set={"log.level": "warning"})
    up = UpSettings(agents=(edge, AgentEntry(role="cloud", config="cloud.yaml")))

    moved = on_free_ports(up, Path("kept"))

    ports = {moved.broker.port, *(entry.set["metrics.port"] for entry in moved.agents)}
    assert len(ports) == 3
    assert moved.broker.data_dir == "kept"
    assert moved.agents[0].set["log.level"] == "warning"


async def test_a_process_that_was_killed_is_let_go_of_and_its_name_is_free_again() -> None:
    processes = Processes()
    await processes.start("sleeper", ["sleep", "60"])
    killed = processes.pids()["sleeper"]
    os.kill(killed, signal.SIGKILL)

    await processes.ended("sleeper")

    assert processes.pids() == {}
    await processes.start("sleeper", ["sleep", "60"])
    assert processes.pids()["sleeper"] != killed
    await processes.stop("sleeper")


def test_tiers_are_told_upward_whatever_order_their_agents_have() -> None:
    device = TierSettings(name="device", upstream="edge")
    edge, cloud = TierSettings(name="edge", upstream="cloud"), TierSettings(name="cloud")

    assert upward([cloud, device, edge, device]) == ("device", "edge", "cloud")
    assert upward([device]) == ("device", "edge"), "as far as the settings lead"
    assert upward([]) == ()
