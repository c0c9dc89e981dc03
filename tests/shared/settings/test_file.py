"""Settings are typed, closed and loud; every sentence names file, key and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from cloud_agent.center.settings import CenterSettings
from device_agent.settings import DeviceSettings
from edge_agent.settings import EdgeSettings
from experiments.testbed.processes import UpSettings, read_agents
from shared.agent.settings import AgentSettings
from shared.cascade.policies import Fixed, Quantile
from shared.settings.file import load
from tests.support.processes import ROOT
from tests.support.settings_files import fault

if TYPE_CHECKING:
    from pathlib import Path


KINDS: dict[str, type[AgentSettings]] = {
    "device": DeviceSettings,
    "edge": EdgeSettings,
    "cloud": AgentSettings,
}


def test_what_a_file_leaves_out_has_its_default(file: Path) -> None:
    settings = load(DeviceSettings, file)
    assert settings.tier.policy == Quantile(beta=0.3, window_prompts=10_000, ties="keep")
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.root) == (
        "127.0.0.1",
        1883,
        "recserve",
    )
    assert settings.upstream.patience_s == 2.0


def test_the_environment_outdoes_the_file_and_flags_outdo_both(file: Path) -> None:
    environment = {
        "RECSERVE_MQTT__PORT": "1999",
        "RECSERVE_TIER__POLICY": "{kind: fixed, threshold: 0.9}",
        "RECSERVE_MQTT_PASSWORD": "not a setting",
        "PATH": "/bin",
    }
    from_environment = load(DeviceSettings, file, environment=environment)
    assert from_environment.mqtt.port == 1999
    assert from_environment.tier.policy == Fixed(threshold=0.9)

    flags = ["mqtt.port=2001", "agent=pi-4", "tier.upstream=null"]
    from_flags = load(DeviceSettings, file, environment=environment, flags=flags)
    assert (from_flags.mqtt.port, from_flags.agent, from_flags.tier.upstream) == (
        2001,
        "pi-4",
        None,
    )


def test_nothing_is_read_from_the_environment_unless_it_is_handed_over(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_MQTT__PORT", "1999")
    assert load(DeviceSettings, file).mqtt.port == 1883


def test_paths_that_begin_with_a_dot_are_relative_to_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    file = folder / "d.yaml"
    file.write_text(
        "agent: d\ntier: {name: device}\nmodel: {source: ../bundles/small}\n"
        "mqtt: {tls: {ca_file: ./ca.pem}, password_file: /etc/password}\n",
        encoding="utf-8",
    )
    settings = load(DeviceSettings, file)
    assert settings.model.source == str(tmp_path / "bundles" / "small")
    assert settings.mqtt.tls is not None
    assert settings.mqtt.tls.ca_file == str(folder / "ca.pem")
    assert settings.mqtt.password_file == "/etc/password"  # noqa: S105 - a path


def test_a_path_in_a_flag_is_relative_to_where_we_are(file: Path) -> None:
    assert load(DeviceSettings, file, flags=["model.source=./here"]).model.source == "./here"


def test_an_agent_of_up_may_have_a_number_for_its_name(tmp_path: Path) -> None:
    (tmp_path / "up.yaml").write_text(
        f"agents:\n  - {{role: device, config: {ROOT}/configs/device.yaml, name: 0815,\n"
        "     set: {tier.name: 3e1, tier.policy.beta: 2e-1, mqtt.plain_on_network: yes}}\n",
        encoding="utf-8",
    )
    (agent,) = read_agents(load(UpSettings, tmp_path / "up.yaml"))
    assert (agent.settings.agent, agent.settings.tier.name) == ("0815", "3e1")
    assert agent.settings.tier.policy == Quantile(beta=0.2)
    assert agent.settings.mqtt.plain_on_network


def test_variables_of_services_are_nobodys_settings(file: Path) -> None:
    service = {
        "RECSERVE_BROKER_SERVICE_HOST": "10.0.0.1",
        "RECSERVE_BROKER_SERVICE_PORT": "8883",
        "RECSERVE_BROKER_SERVICE_PORT_MQTT": "8883",
        "RECSERVE_BROKER_PORT": "tcp://10.0.0.1:8883",
        "RECSERVE_BROKER_PORT_8883_TCP": "tcp://10.0.0.1:8883",
        "RECSERVE_BROKER_PORT_8883_TCP_ADDR": "10.0.0.1",
        "RECSERVE_PORT": "udp://10.0.0.1:53",
        "RECSERVE_PORT_53_UDP_PROTO": "udp",
    }
    assert load(DeviceSettings, file, environment=service) == load(DeviceSettings, file)
    sentence = fault(file, environment={"RECSERVE_PORT": "1883"})
    assert sentence.startswith("variable RECSERVE_PORT: unknown key 'port'")
    sentence = fault(file, environment={"RECSERVE_MQTT__PORT": "tcp://10.0.0.1:8883"})
    assert sentence.startswith("variable RECSERVE_MQTT__PORT: mqtt.port: expected `int`")


def shipped() -> list[Path]:
    return sorted(ROOT.glob("configs/*.yaml"))


@pytest.mark.parametrize("file", shipped(), ids=lambda file: file.name)
def test_every_shipped_file_loads(file: Path) -> None:
    if file.name == "up.yaml":
        assert len(read_agents(load(UpSettings, file))) == 5
        return
    role = file.stem.partition("-")[0]
    if role == "center":
        assert load(CenterSettings, file).name == "center"
        return
    settings = load(KINDS[role], file)
    assert settings.tier.name == role
    above: dict[str, list[tuple[str, ...]]] = {
        "device": [("edge",), ("cloud",)],
        "edge": [("cloud",)],
        "cloud": [()],
    }
    assert settings.tier.above in above[role]


@pytest.mark.parametrize("file", shipped(), ids=lambda file: file.name)
def test_every_shipped_file_is_commented(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert yaml.safe_load(text)
