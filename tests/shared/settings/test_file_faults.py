"""What is wrong in settings is said in a sentence that names file and key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from device_agent.settings import DeviceSettings
from shared.agent.settings import AgentSettings
from shared.errors import SettingsError
from shared.settings.file import load
from tests.support.settings_files import LEAST, fault

few = examples(max_examples=30)


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
        (LEAST + "heartbeat_s: 0\n", "heartbeat_s: expected `float` >= 0.1"),
        (LEAST + "heartbeat_s: 1.0e+300\n", "heartbeat_s: expected `float` <= 3600.0"),
        (LEAST + "mqtt: {protocol: '4'}\n", "mqtt.protocol: invalid enum value '4'"),
        (LEAST + "log: {level: loud}\n", "log.level: invalid enum value 'loud'"),
        (LEAST + "mqtt: no\n", "mqtt: expected `object`, got `str`"),
        (LEAST.replace("device-1", "a/b"), "agent 'a/b' contains '/'"),
        (LEAST.replace("device-1", "[5]"), "agent: expected `str`, got `array`"),
        (LEAST.replace("device-1", "null"), "agent: expected `str`, got `null`"),
        (LEAST.replace("edge", "device"), "tier.name, tier.upstream and tier.beyond must all"),
        (LEAST + "pool: 'a+b'\n", "pool 'a+b' contains '+'"),
        (
            LEAST
            + "sources:\n  ok: {kind: lines, path: '-'}\n  b: {kind: lines, path: a, task: x}\n",
            "sources.b.task: invalid enum value 'x'",
        ),
        (
            LEAST + "sources:\n  ok: {kind: lines, path: '-'}\n  b: {kind: lines, pth: a}\n",
            "unknown key 'sources.b.pth'; did you mean 'path'?",
        ),
        (LEAST + "mqtt: {host: 'mqtt://b'}\n", "mqtt.host 'mqtt://b' is no host"),
        (LEAST + "mqtt: {host: 'b:1883'}\n", "mqtt.host 'b:1883' is no host"),
        (LEAST + "metrics: {host: '[::1]:9100'}\n", "metrics.host '[::1]:9100' is no host"),
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
    assert "--set sources=[: the value is not YAML" in fault(file, flags=["sources=["])


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
