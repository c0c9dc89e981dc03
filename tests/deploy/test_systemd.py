"""The systemd units, without systemd running: complete, hardened, and understood by its checker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from device_agent.settings import DeviceSettings
from shared.agent.settings import AgentSettings
from shared.cli import FENCED_STATUS
from shared.settings.file import load
from tests.support.deploy_files import ROOT, UNITS, unit, variables
from tests.support.processes import skip_without_program

if TYPE_CHECKING:
    from pathlib import Path

TIERS = ("device", "edge", "cloud")
HARDENING = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "DynamicUser": "yes",
    "CapabilityBoundingSet": "",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter": "@system-service",
}


def kind(tier: str) -> type[AgentSettings]:
    return DeviceSettings if tier == "device" else AgentSettings


@pytest.mark.parametrize("tier", TIERS)
def test_a_unit_starts_after_the_network_and_again_after_every_end(tier: str) -> None:
    sections = unit(UNITS / f"recserve-{tier}.service")
    assert "network-online.target" in sections["Unit"]["After"][0].split()
    assert sections["Unit"]["Wants"] == ["network-online.target"]
    assert sections["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert sections["Service"]["Restart"] == ["always"]
    assert int(sections["Service"]["RestartSec"][0]) > 0
    assert sections["Service"]["RestartPreventExitStatus"] == [str(FENCED_STATUS)]
    assert sections["Install"]["WantedBy"] == ["multi-user.target"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_unit_runs_the_agent_of_its_tier_with_its_own_files(tier: str) -> None:
    service = unit(UNITS / f"recserve-{tier}.service")["Service"]
    config = f"configs/{tier}.yaml"
    assert service["ExecStart"][0].endswith(
        f"python -m {tier}_agent --config /opt/recserve/{config}"
    )
    assert (ROOT / config).is_file()
    assert (ROOT / f"{tier}_agent/__main__.py").is_file()
    assert service["EnvironmentFile"] == [f"/etc/recserve/{tier}.env"]
    assert service["StateDirectory"] == [f"recserve-{tier}"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_unit_waits_until_an_agent_has_finished_what_it_has_in_hand(tier: str) -> None:
    service = unit(UNITS / f"recserve-{tier}.service")["Service"]
    settings = load(kind(tier), ROOT / f"configs/{tier}.yaml")
    drain_s = settings.limits.drain_s + settings.mqtt.drain_s + 1
    assert service["KillSignal"] == ["SIGTERM"]
    assert float(service["TimeoutStopSec"][0]) > drain_s


@pytest.mark.parametrize("tier", TIERS)
def test_a_unit_that_is_reloaded_exchanges_its_model(tier: str) -> None:
    service = unit(UNITS / f"recserve-{tier}.service")["Service"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_unit_takes_its_rights_away(tier: str) -> None:
    service = unit(UNITS / f"recserve-{tier}.service")["Service"]
    assert {key: service.get(key) for key in HARDENING} == {
        key: [value] for key, value in HARDENING.items()
    }


def test_a_unit_that_may_use_a_gpu_can_see_its_device_files() -> None:
    cloud = unit(UNITS / "recserve-cloud.service")["Service"]
    jetson = unit(UNITS / "recserve-device.service.d/jetson.conf")["Service"]
    for key in ("PrivateDevices", "ProtectClock"):
        assert key not in cloud
        assert jetson[key] == ["no"]


@pytest.mark.parametrize("tier", TIERS)
def test_every_line_of_an_environment_file_is_a_setting(tier: str) -> None:
    text = (UNITS / f"{tier}.env.example").read_text(encoding="utf-8")
    plain = variables(text)
    assert set(plain) == {"RECSERVE_AGENT", "RECSERVE_MQTT__HOST"}
    everything = variables(text.replace("\n#RECSERVE_", "\nRECSERVE_"))
    assert set(everything) > set(plain)
    settings = load(kind(tier), ROOT / f"configs/{tier}.yaml", environment=everything)
    assert settings.agent == settings.mqtt.username == f"{tier}-1"
    assert settings.mqtt.tls is not None


def test_the_broker_may_hold_as_many_connections_as_it_allows() -> None:
    service = unit(UNITS / "mosquitto.service.d/recserve.conf")["Service"]
    text = (ROOT / "deploy/mosquitto/site.conf").read_text(encoding="utf-8")
    (allowed,) = [line for line in text.splitlines() if line.startswith("max_connections ")]
    assert int(service["LimitNOFILE"][0]) > 2 * int(allowed.split()[1])
    # The first, empty one takes Debian's away; without it systemd refuses a second.
    assert service["ExecStart"] == ["", "/usr/sbin/mosquitto -c /etc/recserve/mosquitto.conf"]


def test_systemd_finds_no_fault_with_any_unit(tmp_path: Path) -> None:
    skip_without_program("systemd-analyze", "systemd")
    shutil.copytree(UNITS, tmp_path / "units")
    units = sorted((tmp_path / "units").glob("*.service"))
    assert len(units) == len(TIERS)
    for path in units:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("/opt/recserve/.venv/bin/python", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
