"""Settings are typed, closed and loud; every sentence names file, key and what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from msgspec import inspect

from device_agent.settings import DeviceSettings
from experiments.testbed.processes import UpSettings, read_agents
from shared.agent.settings import AgentSettings
from shared.cascade.policies import Fixed, Quantile
from shared.errors import SettingsError
from shared.settings.file import load
from shared.settings.typed_texts import types_at, types_below, types_of
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.settings.typed_texts import Types

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


# -- what a text means -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["0042", "2e7", "12:30:45", "off", "1_2", "2031-13-45", "0x1F", "true"]
)
def test_a_name_is_a_name_whatever_else_it_looks_like(file: Path, name: str) -> None:
    for agent in (name, f"'{name}'", f'"{name}"', f"  {name}\r"):
        assert load(DeviceSettings, file, environment={"RECSERVE_AGENT": agent}).agent == name
        assert load(DeviceSettings, file, flags=[f"agent={agent}"]).agent == name
    file.write_text(LEAST.replace("device-1", name), encoding="utf-8")
    assert load(DeviceSettings, file).agent == name


@pytest.mark.parametrize(
    ("text", "number"),
    [("25e-2", 0.25), ("+.5", 0.5), ("1", 1.0), ("0.75", 0.75), ("7_5e-2", 0.75), ("1.", 1.0)],
)
def test_a_number_is_a_number_however_it_is_written(file: Path, text: str, number: float) -> None:
    flags = ["tier.policy.kind=quantile", f"tier.policy.beta={text}"]
    flagged = load(DeviceSettings, file, flags=flags)
    assert flagged.tier.policy == Quantile(beta=number)
    policy = f"name: device, policy: {{kind: quantile, beta: {text}}},"
    file.write_text(LEAST.replace("name: device,", policy), encoding="utf-8")
    assert load(DeviceSettings, file).tier.policy == Quantile(beta=number)


@pytest.mark.parametrize("text", ["/var/lib/a #1", "it's: {odd}", "[not a list", "*star", "a, b"])
def test_a_text_may_hold_what_yaml_would_trip_over(file: Path, text: str) -> None:
    assert load(DeviceSettings, file, flags=[f"state={text}"]).state == text
    assert load(DeviceSettings, file, environment={"RECSERVE_STATE": text}).state == text


@pytest.mark.parametrize(("text", "port"), [("08883", 8883), ("1e4", 10_000), ("0x75b", 1883)])
def test_a_whole_number_is_decimal_unless_it_says_otherwise(
    file: Path, text: str, port: int
) -> None:
    assert load(DeviceSettings, file, flags=[f"mqtt.port={text}"]).mqtt.port == port
    file.write_text(LEAST + f"mqtt: {{port: {text}}}\n", encoding="utf-8")
    assert load(DeviceSettings, file).mqtt.port == port


@pytest.mark.parametrize("word", ["yes", "On", "TRUE"])
def test_a_yes_is_one_where_one_is_wanted(file: Path, word: str) -> None:
    assert load(DeviceSettings, file, flags=[f"mqtt.plain_on_network={word}"]).mqtt.plain_on_network
    file.write_text(LEAST + f"mqtt: {{plain_on_network: {word}}}\n", encoding="utf-8")
    assert load(DeviceSettings, file).mqtt.plain_on_network


def test_labels_that_look_like_numbers_and_answers_are_texts(file: Path) -> None:
    file.write_text(LEAST.replace("./bundle", "./bundle, labels: [no, 1, 2.50]"), encoding="utf-8")
    assert load(DeviceSettings, file).model.labels == ("no", "1", "2.50")
    flags = ["model.labels=[yes, 007]"]
    assert load(DeviceSettings, file, flags=flags).model.labels == ("yes", "007")


@pytest.mark.parametrize("protocol", ["5", "3.1.1", "'5'"])
def test_the_protocol_is_written_with_or_without_quotes(file: Path, protocol: str) -> None:
    file.write_text(LEAST + f"mqtt: {{protocol: {protocol}}}\n", encoding="utf-8")
    assert load(DeviceSettings, file).mqtt.protocol == protocol.strip("'")


@pytest.mark.parametrize("text", ["", "null", "~"])
def test_what_may_be_none_can_be_set_to_none(file: Path, text: str) -> None:
    assert load(DeviceSettings, file, flags=[f"tier.upstream={text}"]).tier.upstream is None


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


# -- the files that ship -----------------------------------------------------------------------


def shipped() -> list[Path]:
    return sorted(ROOT.glob("configs/*.yaml"))


@pytest.mark.parametrize("file", shipped(), ids=lambda file: file.name)
def test_every_shipped_file_loads(file: Path) -> None:
    if file.name == "up.yaml":
        assert len(read_agents(load(UpSettings, file))) == 5
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


# -- every number has its bounds ---------------------------------------------------------------


def numbers(types: Types, path: str) -> Iterator[tuple[str, Any]]:
    """Every number in settings, with the key that it is under."""
    for kind in types:
        if isinstance(kind, (inspect.IntType, inspect.FloatType)):
            yield path, kind
        elif isinstance(kind, inspect.StructType):
            for field in kind.fields:
                key = f"{path}.{field.encode_name}".lstrip(".")
                yield from numbers(types_at((kind,), field.encode_name), key)
        elif isinstance(kind, inspect.DictType):
            yield from numbers(types_at((kind,), "NAME"), f"{path}.NAME")
        elif isinstance(kind, inspect.VarTupleType):
            yield from numbers(types_below((kind,)), path)


NUMBERS = [found for kind in (DeviceSettings, UpSettings) for found in numbers(types_of(kind), "")]


@pytest.mark.parametrize(("key", "number"), NUMBERS, ids=[key for key, _ in NUMBERS])
def test_every_number_is_bounded_at_both_ends(key: str, number: Any) -> None:
    assert number.ge is not None or number.gt is not None, key
    assert number.le is not None or number.lt is not None, key


@pytest.mark.parametrize("value", ["1e-7", "0", "-3", "1e300", ".nan", ".inf", "9" * 40])
@pytest.mark.parametrize("key", ["heartbeat_s", "mqtt.return_s", "limits.queue_prompts"])
def test_a_number_that_makes_no_sense_is_refused_by_name(file: Path, key: str, value: str) -> None:
    assert fault(file, flags=[f"{key}={value}"]).startswith(f"--set {key}={value}: {key}: ")


@pytest.mark.parametrize("host", ["::1", "[::1]", "[fe80::2%eth0]"])
def test_an_address_may_stand_in_brackets_wherever_one_is_read(file: Path, host: str) -> None:
    bare = host.strip("[]")
    flags = [f"mqtt.host={host}", f"metrics.host={host}", f"mqtt.fallbacks=['[{bare}]:1884']"]
    settings = load(DeviceSettings, file, flags=flags)
    assert settings.metrics.host == bare
    assert settings.mqtt.brokers == [(bare, 1883), (bare, 1884)]
