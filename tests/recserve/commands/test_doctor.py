"""What ``recserve doctor`` says of a broker and of the agents above, to people."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from recserve.commands.doctor import examine
from shared.membership.status import Status, encode_status, name_labels
from tests.support.processes import ROOT, BrokerProcess
from tests.support.tiny_models import write_classifier
from tests.support.wires import settled

if TYPE_CHECKING:
    from pathlib import Path

    from recserve.commands.doctor_broker import Finding
    from tests.support.wires import MqttWire

FILE = str(ROOT / "configs/device.yaml")
OURS = name_labels(["negative", "positive"])


def edge(labels: str) -> bytes:
    return encode_status(Status("online", 1, ("classify",), labels=labels))


async def upstream(wire: MqttWire, *more: str) -> Finding:
    flags = (f"mqtt.port={wire.broker.port}", f"mqtt.root={wire.root}", *more)
    findings = {found.check: found async for found in examine([FILE], flags)}
    return findings["upstream"]


@pytest.fixture
def status(mosquitto: MqttWire) -> str:
    """Topic of the edge agent that these tests play."""
    return f"{mosquitto.root}/v1/status/edge/edge-1"


async def test_the_device_is_named_on_which_a_model_really_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    source = write_classifier(tmp_path / "model")
    flags = ("model.runtime=transformers", f"model.source={source}", "model.device=auto")

    async for found in examine([FILE], flags):
        if found.check == "model":
            break

    assert found.verdict == "ok", found.detail
    assert "transformers on cpu" in found.detail or "transformers on cuda" in found.detail


async def test_an_agent_above_with_other_labels_is_named(mosquitto: MqttWire, status: str) -> None:
    agent = await settled(mosquitto.bus("edge-1"))
    await agent.publish(status, edge(name_labels(["calm", "angry"])), retain=True)
    found = await upstream(mosquitto)
    assert found.verdict == "failed"
    assert "edge-1 will not be asked" in found.detail

    await agent.publish(f"{status}2", edge(OURS), retain=True)
    found = await upstream(mosquitto)
    assert (found.verdict, "edge-1 will not be asked" in found.detail) == ("warning", True)


async def test_an_agent_that_only_its_heartbeat_tells_of_is_waited_for(
    mosquitto: MqttWire, status: str
) -> None:
    agent = await settled(mosquitto.bus("edge-1"))

    async def beat() -> None:
        while True:
            await agent.publish(status, edge(OURS))
            await asyncio.sleep(2)

    beating = asyncio.create_task(beat())
    found = await upstream(mosquitto)
    beating.cancel()
    assert (found.verdict, found.detail) == ("ok", "edge: edge-1")


async def test_nobody_above_is_said_after_one_heartbeat(mosquitto: MqttWire) -> None:
    found = await upstream(mosquitto, "heartbeat_s=0.2")
    assert (found.verdict, "no edge agent is alive" in found.detail) == ("warning", True)


@pytest.mark.parametrize("command", ["doctor", "ask"])
def test_people_are_told_in_lines_for_people_only(tmp_path: Path, command: str) -> None:
    broker = BrokerProcess("mosquitto", tmp_path / "b", extra=["allow_anonymous false"]).start()
    words = {
        "doctor": ("--set", f"mqtt.port={broker.port}"),
        "ask": ("--port", str(broker.port), "hello"),
    }
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "recserve", command, *words[command]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        broker.stop()
    lines = (ran.stdout + ran.stderr).splitlines()
    assert ran.returncode > 0
    assert any("refused us" in line for line in lines)
    assert [line for line in lines if line.split()[0] not in ("ok", "failed", "error:")] == []
