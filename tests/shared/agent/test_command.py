"""The command that every agent has: settings in; one clear line and a status when wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from cloud_agent.command import command as cloud
from device_agent.command import command as device
from edge_agent.command import command as edge
from shared.agent.command import agent_command
from shared.agent.settings import AgentSettings
from shared.cli import FENCED_STATUS, clear_errors
from shared.errors import BundleError, Fenced
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from shared.agent.reload import Reread


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text("agent: a\ntier: {name: t}\nmodel: {source: m}\n", encoding="utf-8")
    return path


def test_settings_reach_the_agent_and_its_word_is_the_exit_status(file: Path) -> None:
    ran: list[AgentSettings] = []

    async def run(settings: AgentSettings, reread: Reread) -> int:
        del reread
        ran.append(settings)
        return 3

    command = agent_command("test", AgentSettings, run, "Run.")
    result = CliRunner().invoke(
        command,
        ["--config", str(file), "--set", "agent=b"],
        env={"RECSERVE_MQTT__PORT": "1999"},
    )

    assert result.exit_code == 3
    assert (ran[0].agent, ran[0].mqtt.port) == ("b", 1999)


def test_a_second_file_adds_to_the_first_and_has_the_last_word(file: Path) -> None:
    ran: list[AgentSettings] = []

    async def run(settings: AgentSettings, reread: Reread) -> None:
        del reread
        ran.append(settings)

    second = file.with_name("second.yaml")
    second.write_text("agent: c\nmqtt: {host: b.lan, tls: {ca_file: ./ca}}\n", encoding="utf-8")
    file.write_text(file.read_text() + "mqtt: {host: a.lan, port: 1884}\n", encoding="utf-8")
    command = agent_command("test", AgentSettings, run, "Run.")
    result = CliRunner().invoke(command, ["-c", str(file), "-c", str(second)])

    assert result.exit_code == 0, result.output
    (settings,) = ran
    assert (settings.agent, settings.tier.name) == ("c", "t")
    assert (settings.mqtt.host, settings.mqtt.port) == ("b.lan", 1884)
    assert settings.mqtt.tls is not None
    assert settings.mqtt.tls.ca_file == str(file.with_name("ca"))


def test_of_two_files_the_one_at_fault_is_named(file: Path) -> None:
    second = file.with_name("second.yaml")
    second.write_text("tier: {upstreem: x}\n", encoding="utf-8")
    result = CliRunner().invoke(cloud, ["-c", str(file), "-c", str(second)])
    assert f"error: {second}: unknown key 'tier.upstreem'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "nowhere.yaml"], "error: nowhere.yaml: cannot be read"),
        (["--config", "FILE", "--set", "agnt=x"], "error: --set agnt=x: unknown key 'agnt'"),
        (["--config", "FILE", "--set", "model.source=nowhere"], "nowhere"),
        ([], "Missing option '--config'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(file: Path, arguments: list[str], said: str) -> None:
    words = [str(file) if word == "FILE" else word for word in arguments]
    result = CliRunner().invoke(cloud, words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("error: ") <= 1


@pytest.mark.parametrize(
    ("command", "config", "flag", "said"),
    [
        (edge, "edge.yaml", "tier.upstream=null", "tier.upstream is missing"),
        (cloud, "cloud.yaml", "tier.upstream=sky", "tier.upstream is 'sky'"),
        (device, "device.yaml", "model.source=./nowhere", "nowhere"),
    ],
)
def test_an_agent_in_the_wrong_place_says_so(
    command: click.Command, config: str, flag: str, said: str
) -> None:
    result = CliRunner().invoke(command, ["-c", str(ROOT / "configs" / config), "--set", flag])
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_agent_that_has_to_yield_its_name_ends_with_a_status_of_its_own() -> None:
    with pytest.raises(SystemExit) as left, clear_errors():
        raise Fenced("another process runs as agent 'edge-1'")
    assert left.value.code == FENCED_STATUS
    assert left.value.code not in (0, 1, 2)


def test_only_errors_of_ours_become_a_line() -> None:
    with pytest.raises(SystemExit) as left, clear_errors():
        raise BundleError("no bundle")
    assert left.value.code == 2
    with pytest.raises(ZeroDivisionError), clear_errors():
        _ = 1 / 0
