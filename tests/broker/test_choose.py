"""Which broker runs where, and that Mosquitto takes the configuration it is given."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from broker import start
from broker.start import CONFIGURATION, BrokerSettings, choose, command, configuration
from experiments.testbed.processes import free_port
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import RuntimeUnavailable, SettingsError
from tests.support.processes import BrokerProcess, skip_without

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def without_mosquitto(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which Mosquitto is nowhere to be found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(start, "_SYSTEM_FOLDERS", ())


@pytest.fixture
def with_mosquitto(
    without_mosquitto: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """A machine whose only program is called mosquitto."""
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def test_mosquitto_is_taken_if_it_is_there(with_mosquitto: Path, tmp_path: Path) -> None:
    assert choose("auto") == "mosquitto"
    assert choose("mosquitto") == "mosquitto"
    assert choose("embedded") == "embedded"
    line = command(BrokerSettings(data_dir=str(tmp_path / "data")))
    assert line == [str(with_mosquitto), "-c", str(tmp_path / "data" / "mosquitto.conf")]


def test_it_is_found_where_debian_hides_it(
    without_mosquitto: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = tmp_path / "sbin"
    hidden.mkdir()
    (hidden / "mosquitto").write_text("#!/bin/sh\n", encoding="utf-8")
    (hidden / "mosquitto").chmod(0o755)
    monkeypatch.setattr(start, "_SYSTEM_FOLDERS", (str(hidden),))
    assert choose("auto") == "mosquitto"


def test_without_mosquitto_the_embedded_broker_is_taken(without_mosquitto: None) -> None:
    skip_without("embedded")
    assert choose("auto") == "embedded"
    assert command(BrokerSettings(port=1999))[1:] == ["-m", "broker.embedded", "127.0.0.1", "1999"]
    with pytest.raises(RuntimeUnavailable, match="apt install mosquitto"):
        choose("mosquitto")


def test_without_any_broker_both_ways_out_are_named(
    without_mosquitto: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., object] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "amqtt" else find(name)
    )
    kinds: tuple[Literal["auto", "embedded"], ...] = ("auto", "embedded")
    for kind in kinds:
        with pytest.raises(RuntimeUnavailable, match=r"mosquitto.*pip install -e \"\.\[broker\]\""):
            choose(kind)


def test_the_configuration_is_the_file_less_what_the_settings_replace(tmp_path: Path) -> None:
    rendered = configuration(BrokerSettings(port=2000), tmp_path).splitlines()

    kept = CONFIGURATION.read_text(encoding="utf-8").splitlines()
    replaced = ("#", "listener ", "allow_anonymous ", "persistence ", "persistence_location ")
    for line in kept:
        if line and not line.startswith(replaced):
            assert line in rendered
    assert rendered[0] == "listener 2000 127.0.0.1"
    assert f"persistence_location {tmp_path}/" in rendered
    assert sum(line.startswith("listener ") for line in rendered) == 1


def test_the_file_itself_switches_nagles_algorithm_off_and_stays_on_loopback() -> None:
    lines = CONFIGURATION.read_text(encoding="utf-8").splitlines()
    assert "set_tcp_nodelay true" in lines
    assert "listener 1883 127.0.0.1" in lines


async def test_mosquitto_starts_with_it_in_a_folder_with_a_space(tmp_path: Path) -> None:
    broker = BrokerProcess("mosquitto", tmp_path / "a folder").start()
    bus = MqttBus(MqttSettings(port=broker.port, protocol="5"), "m")
    try:
        await bus.start()
        await bus.wait_connected(10)
        await bus.publish("t", b"kept", retain=True)
    finally:
        await bus.close()
        broker.stop()
    kept = tmp_path / "a folder" / "mosquitto.db"
    assert kept.exists(), "retained messages are kept where the settings say"
    assert "Error" not in (tmp_path / "a folder" / "stderr.txt").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable to root")
def test_a_folder_that_cannot_be_written_is_named(with_mosquitto: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(SettingsError, match=r"broker\.data_dir .*locked.* cannot be written"):
        command(BrokerSettings(data_dir=str(locked / "data")))


def test_a_folder_that_is_a_file_is_named(with_mosquitto: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"broker\.data_dir .*taken.* cannot be written"):
        command(BrokerSettings(data_dir=str(tmp_path / "taken")))


async def test_the_embedded_broker_refuses_a_taken_port_in_one_line(tmp_path: Path) -> None:
    skip_without("embedded")
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    status, said = await _run(BrokerSettings(kind="embedded", port=port))
    taken.close()
    await taken.wait_closed()
    assert status == 1
    assert said.splitlines() == [said.strip()]
    assert said.startswith(f"error: the embedded broker cannot listen on 127.0.0.1:{port} (")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
async def test_the_embedded_broker_serves_on_loopback_and_stops_when_asked(host: str) -> None:
    skip_without("embedded")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *command(BrokerSettings(kind="embedded", host=host, port=port)),
        cwd=Path(start.__file__).parents[1],
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    bus = MqttBus(MqttSettings(host=host, port=port, protocol="3.1.1", reconnect_min_s=0.05), "m")
    try:
        await bus.start()
        await bus.wait_connected(20)
    finally:
        await bus.close()
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert await process.stderr.read() == b""


async def _run(settings: BrokerSettings) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command(settings),
        cwd=Path(start.__file__).parents[1],
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, errors.decode()
