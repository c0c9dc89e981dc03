"""What a value may look like in a settings file, a variable or a flag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import inspect

from device_agent.settings import DeviceSettings
from experiments.testbed.processes import UpSettings
from shared.cascade.policies import Quantile
from shared.settings.file import load
from shared.settings.typed_texts import types_at, types_below, types_of
from tests.support.settings_files import LEAST, fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.settings.typed_texts import Types


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
