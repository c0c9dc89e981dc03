"""Settings are typed, closed and loud; every sentence names file, key and what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recserve.processes import UpSettings, plan
from shared.errors import SettingsError
from shared.policies import Fixed, Quantile
from shared.settings import AgentSettings, DeviceSettings
from shared.settings_file import load
from tests.processes import ROOT

LEAST = "agent: device-1\ntier: {name: device, upstream: edge}\nmodel: {source: ./bundle}\n"
few = examples(max_examples=30)
KINDS = {"device": DeviceSettings, "edge": AgentSettings, "cloud": AgentSettings}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "device.yaml"
    path.write_text(LEAST, encoding="utf-8")
    return path


def fault(file: Path, text: str | None = None, **sources: Any) -> str:
    """The sentence with which these settings are refused."""
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(DeviceSettings, file, **sources)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


# -- what comes from where ---------------------------------------------------------------------


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


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LEAST + "moddel: 1\n", "unknown key 'moddel'; did you mean 'model'?"),
        (LEAST + "mqtt: {poort: 1}\n", "unknown key 'mqtt.poort'; did you mean 'port'?"),
        (LEAST + "limits: {zzz: 1}\n", "unknown key 'limits.zzz'; known here: attempts, "),
        (
            LEAST + "mqtt: {tls: {ca_fil: x}}\n",
            "unknown key 'mqtt.tls.ca_fil'; did you mean 'ca_file'?",
        ),
        ("tier: {name: device}\nmodel: {source: x}\n", "the key 'agent' is missing"),
        ("agent: d\ntier: {}\nmodel: {source: x}\n", "the key 'tier.name' is missing"),
        (LEAST + "mqtt: {port: many}\n", "mqtt.port: expected `int`, got `str`"),
        (LEAST + "mqtt: {port: 70000}\n", "mqtt.port: expected `int` <= 65535"),
        (LEAST + "mqtt: {keepalive_s: 1.5}\n", "mqtt.keepalive_s: expected `int`, got `float`"),
        (LEAST + "heartbeat_s: 0\n", "heartbeat_s: expected `float` > 0.0"),
        (LEAST + "heartbeat_s: 1.0e+300\n", "heartbeat_s: expected `float` <= 3600.0"),
        (LEAST + "mqtt: {protocol: 5}\n", "mqtt.protocol: expected `str`, got `int`"),
        (LEAST + "mqtt: {protocol: '4'}\n", "mqtt.protocol: invalid enum value '4'"),
        (LEAST + "log: {level: loud}\n", "log.level: invalid enum value 'loud'"),
        (LEAST + "mqtt: no\n", "mqtt: expected `object`, got `bool`"),
        (LEAST.replace("device-1", "a/b"), "agent 'a/b' contains '/'"),
        (LEAST.replace("device-1", "5"), "agent: expected `str`, got `int`"),
        (LEAST.replace("edge", "device"), "tier.name, tier.upstream and tier.beyond must all"),
        (LEAST + "pool: 'a+b'\n", "pool 'a+b' contains '+'"),
        ("[1, 2]", "must hold a mapping of keys to values"),
        ("", "must hold a mapping of keys to values"),
        ("agent: [", "is not YAML at line 1"),
        ("agent: !!python/object:os.system {}", "is not YAML"),
    ],
    ids=lambda text: text[-30:],
)
def test_a_wrong_setting_is_refused_with_file_key_and_fault(
    file: Path, text: str, sentence: str
) -> None:
    refused = fault(file, text)
    assert refused.startswith(f"{file}: ")
    assert sentence in refused


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("{kind: quantile, beta: 1.5}", "expected `float` <= 1.0"),
        ("{kind: quantile, beta: .nan}", "tier.policy.beta"),
        ("{kind: quantile, window_prompts: 0}", "expected `int` >= 1"),
        ("{kind: guess}", "tier.policy.kind: invalid value 'guess'"),
        ("{kind: quantile, betta: 0.5}", "unknown key 'tier.policy.betta'; did you mean 'beta'?"),
        ("quantile", "tier.policy: expected `object`, got `str`"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_key(file: Path, policy: str, sentence: str) -> None:
    text = LEAST.replace("name: device,", f"name: device, policy: {policy},")
    assert sentence in fault(file, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert fault(missing) == f"{missing}: cannot be read (No such file or directory)"
    assert "cannot be read (Is a directory)" in fault(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"agent: gr\xfc\xdfe")
    assert "is not UTF-8" in fault(tmp_path / "latin.yaml")


def test_a_wrong_variable_is_named_as_the_source(file: Path) -> None:
    sentence = fault(file, environment={"RECSERVE_MQTT__PORT": "many"})
    assert sentence == "variable RECSERVE_MQTT__PORT: mqtt.port: expected `int`, got `str`"
    sentence = fault(file, environment={"RECSERVE_MQQT__PORT": "1"})
    assert sentence == "variable RECSERVE_MQQT__PORT: unknown key 'mqqt'; did you mean 'mqtt'?"


def test_a_wrong_flag_is_named_as_the_source(file: Path) -> None:
    assert fault(file, flags=["mqtt.port=0"]).startswith("--set mqtt.port=0: mqtt.port: ")
    assert "--set 'mqtt.port' is not of the form" in fault(file, flags=["mqtt.port"])
    assert "--set agent.name=x: 'agent' holds a value" in fault(file, flags=["agent.name=x"])
    assert "--set agent=[: the value is not YAML" in fault(file, flags=["agent=["])


def test_of_a_key_that_was_set_twice_the_last_is_to_blame(file: Path) -> None:
    sentence = fault(file, environment={"RECSERVE_MQTT__PORT": "1"}, flags=["mqtt.port=x"])
    assert sentence.startswith("--set mqtt.port=x: ")


@few
@given(st.text(max_size=60))
def test_any_text_is_settings_or_refused_in_a_sentence(text: str) -> None:
    file = Path("/dev/shm") / f"recserve-settings-{os.getpid()}.yaml"  # noqa: S108 - one file
    try:
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        with pytest.raises(SettingsError):
            load(DeviceSettings, file)
    finally:
        file.unlink()


# -- the files that ship -----------------------------------------------------------------------


def shipped() -> list[Path]:
    return sorted(ROOT.glob("configs/*.yaml"))


@pytest.mark.parametrize("file", shipped(), ids=lambda file: file.name)
def test_every_shipped_file_loads(file: Path) -> None:
    if file.name == "up.yaml":
        assert len(plan(load(UpSettings, file))) == 5
        return
    role = file.stem.partition("-")[0]
    settings = load(KINDS[role], file)
    assert settings.tier.name == role
    assert settings.tier.above == {"device": ("edge",), "edge": ("cloud",), "cloud": ()}[role]


@pytest.mark.parametrize("file", shipped(), ids=lambda file: file.name)
def test_every_shipped_file_is_commented(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert yaml.safe_load(text)


def test_a_key_that_is_there_twice_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("agent: a\ntier: {name: device}\nmodel: {source: x}\nagent: b\n")
    with pytest.raises(SettingsError, match=r"twice\.yaml: .*line 4.*'agent' is there twice"):
        load(AgentSettings, path)


def test_a_pool_is_not_called_as_its_agent(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text("agent: e\ntier: {name: edge}\nmodel: {source: x}\npool: e\n")
    with pytest.raises(SettingsError, match="pool is 'e', as the agent"):
        load(AgentSettings, path)
