"""Which listeners may be opened, and with what in front of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from broker import secured
from broker.provision import SiteChange, provision
from broker.start import BrokerSettings, command, configuration
from shared.errors import RuntimeUnavailable, SettingsError
from tests.support.processes import skip_without

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = ("0.0.0.0", "::", "*", "192.168.1.5", "broker.lan")


@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_plain_listener_on_the_network_is_refused(tmp_path: Path, host: str) -> None:
    skip_without("mosquitto")
    settings = BrokerSettings(kind="mosquitto", host=host, data_dir=str(tmp_path))
    with pytest.raises(SettingsError, match=r"recserve provision.*broker\.plain_on_network: true"):
        command(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_it_needs_no_leave(tmp_path: Path, host: str) -> None:
    skip_without("mosquitto")
    command(BrokerSettings(kind="mosquitto", host=host, data_dir=str(tmp_path)))
    assert f"listener 1883 {host}\n" in (tmp_path / "mosquitto.conf").read_text()


@pytest.mark.parametrize(("host", "line"), [("0.0.0.0", "1883 0.0.0.0"), ("*", "1883")])
def test_a_plain_listener_opens_when_told_so_in_as_many_words(
    tmp_path: Path, host: str, line: str
) -> None:
    skip_without("mosquitto")
    settings = BrokerSettings(
        kind="mosquitto", host=host, data_dir=str(tmp_path), plain_on_network=True
    )
    command(settings)
    written = (tmp_path / "mosquitto.conf").read_text()
    assert written.startswith(f"listener {line}\nallow_anonymous true\n")


@pytest.mark.parametrize("leave", [False, True])
def test_the_embedded_broker_is_never_put_on_a_network(leave: bool) -> None:
    skip_without("embedded")
    settings = BrokerSettings(kind="embedded", host="0.0.0.0", plain_on_network=leave)
    with pytest.raises(SettingsError, match="no security boundary"):
        command(settings)


def test_the_embedded_broker_cannot_be_secured(tmp_path: Path) -> None:
    skip_without("embedded")
    with pytest.raises(SettingsError, match="needs Mosquitto"):
        command(BrokerSettings(kind="embedded", provisioned=str(tmp_path)))


def test_a_folder_that_was_not_provisioned_is_named(tmp_path: Path) -> None:
    skip_without("mosquitto")
    settings = BrokerSettings(provisioned=str(tmp_path), data_dir=str(tmp_path / "data"))
    with pytest.raises(SettingsError, match=r"holds no ca\.crt; make it with `recserve provision`"):
        command(settings)


def test_the_brokers_part_alone_is_enough_on_the_brokers_machine(tmp_path: Path) -> None:
    skip_without("mosquitto")
    provision(tmp_path / "site", SiteChange(hosts=("broker.lan",)))
    alone = shutil.copytree(tmp_path / "site/broker", tmp_path / "etc")

    written = configuration(BrokerSettings(host="*", port=8883, provisioned=str(alone)), tmp_path)

    assert written.startswith(f"listener 8883\ncafile {alone}/ca.crt\n")
    for line in (
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "allow_anonymous false",
        f"plugin_opt_config_file {alone}/access.json",
        "persistence false",
        "set_tcp_nodelay true",
    ):
        assert written.splitlines().count(line) == 1
    assert "anonymous true" not in written
    assert "persistence true" not in written


def test_provisioning_needs_no_mosquitto_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secured, "_LIBRARIES", (str(tmp_path),))
    with pytest.raises(RuntimeUnavailable, match="apt install mosquitto"):
        secured.find_plugin()

    done = provision(tmp_path / "site", SiteChange(hosts=("broker.lan",)))

    assert any("no mosquitto.conf for the broker" in line for line in done)
    assert not (tmp_path / "site/broker/mosquitto.conf").exists()
    assert (tmp_path / "site/broker/access.json").exists()
