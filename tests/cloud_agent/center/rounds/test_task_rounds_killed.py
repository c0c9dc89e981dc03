"""Two hundred rounds on agents that are processes, of which one is killed every twenty."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from cloud_agent.center.app import Center
from cloud_agent.center.placement.preferences import Weighted
from cloud_agent.center.rounds.settings import RoundSettings
from cloud_agent.center.settings import CenterPart
from tests.support.deployed_agents import Process
from tests.support.job_rounds import BUNDLES, write_jobs, write_measured
from tests.support.processes import ROOT
from tests.support.wires import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wires import MqttWire

ROUNDS, KILL_EVERY, BATCH = 200, 20, 12
NAMES = ("node-a", "node-b", "node-c")


def start(name: str, folder: Path, wire: MqttWire) -> Process:
    """Start an agent that answers everything itself."""
    settings = {
        "agent": name,
        "tier": {"name": "cloud"},
        "model": {"source": str(BUNDLES["edge"])},
        "mqtt": {"port": wire.broker.port, "root": wire.root},
        "heartbeat_s": 0.5,
        "state": str(folder / "state"),
    }
    config = folder / f"{name}.yaml"
    config.write_bytes(msgspec.yaml.encode(settings))
    command = ["python", "-m", "recserve", "cloud", "--config", str(config)]
    return Process(command, folder, {"PYTHONPATH": str(ROOT)})


def end(agents: dict[str, Process]) -> None:
    for agent in agents.values():
        agent.kill()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_no_job_is_lost_or_counted_twice_while_agents_are_killed(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    settings = RoundSettings(
        jobs=str(write_jobs(tmp_path / "jobs.jsonl")),
        catalogue=str(write_measured(tmp_path / "catalogue.json")),
        mode="barrier",
        batch=BATCH,
        rounds=ROUNDS,
        task_rounds_per_placement=20,
        preference=Weighted(limit_s=30.0),
        patience_s=2.0,
    )
    part = CenterPart(telemetry_s=0.5, lease_s=2.0, rounds=settings)
    async with contextlib.AsyncExitStack() as stack:
        agents = {name: start(name, tmp_path, mosquitto) for name in NAMES}
        stack.callback(end, agents)
        opened = Center.open(part, mosquitto.settings(), mosquitto.bus)
        center = await stack.enter_async_context(opened)
        assert center.rounds is not None
        killed = 0
        while not center.rounds.finished.is_set():
            if center.rounds.round >= (killed + 1) * KILL_EVERY - KILL_EVERY // 2:
                name = NAMES[killed % len(NAMES)]
                agents[name].kill()
                agents[name] = start(name, tmp_path, mosquitto)
                killed += 1
            await asyncio.sleep(0.005)

        counts = center.rounds.ledger.counts
        assert counts.given_again > 0
        assert killed == ROUNDS // KILL_EVERY
        assert (counts.came, counts.answered, counts.open) == (ROUNDS * BATCH, ROUNDS * BATCH, 0)
        rounds = [event.data for event in center.events.after(0) if event.kind == "round"]
        assert [each["round"] for each in rounds] == list(range(1, ROUNDS + 1))
        assert sum(each["answered"] for each in rounds) == ROUNDS * BATCH
        plans = [event.data["round"] for event in center.events.after(0) if event.kind == "plan"]
        assert plans == list(range(20, ROUNDS + 1, 20))
        alive = center.registry.count
        await eventually(lambda: alive("alive") == len(NAMES), "all that were killed", 30.0)
