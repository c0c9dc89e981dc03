"""A cloud agent with the centre of the fleet inside."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from cloud_agent.settings import CloudSettings
from experiments.testbed.processes import free_port
from shared.errors import SettingsError
from shared.settings.file import convert
from tests.support.processes import ROOT, BrokerProcess
from tests.support.tiny_models import write_bundle
from tests.support.wires import eventually

if TYPE_CHECKING:
    from pathlib import Path

CLOUD = {"agent": "cloud-1", "tier": {"name": "cloud"}, "model": {"source": "x"}}


@pytest.mark.slow
async def test_a_cloud_agent_runs_the_centre_and_is_seen_by_it(tmp_path: Path) -> None:
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    page = free_port()
    model = write_bundle(tmp_path / "model").folder
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cloud_agent", "--config", "configs/cloud.yaml",
        "--set", f"mqtt.port={broker.port}", "--set", f"model.source={model}",
        "--set", f"center.state={tmp_path}/center", "--set", f"center.web.port={page}",
        cwd=ROOT, stderr=asyncio.subprocess.DEVNULL, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        await eventually(lambda: _alive(page) == ["cloud-1"], "its own agent", 30)
    finally:
        agent.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(agent.wait(), 20)
        broker.stop()
    assert status == 0


def _alive(page: int) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", page, timeout=5)
    try:
        connection.request("GET", "/api/fleet")
        fleet = json.loads(connection.getresponse().read())["agents"]
    except OSError:
        return []
    finally:
        connection.close()
    return [agent["name"] for agent in fleet if agent["life"] == "alive"]


def test_a_centre_has_a_name_of_its_own_and_a_login_where_the_broker_knows_names() -> None:
    assert convert(CloudSettings, CLOUD | {"center": {}}, "x").center is not None
    with pytest.raises(SettingsError, match=r"center\.name is 'cloud-1', as the agent"):
        convert(CloudSettings, CLOUD | {"center": {"name": "cloud-1"}}, "x")
    known = {"mqtt": {"username": "cloud-1", "password_file": "p"}}
    with pytest.raises(SettingsError, match=r"center\.mqtt is missing"):
        convert(CloudSettings, CLOUD | known | {"center": {}}, "x")
