"""What provisioning writes and keeps."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import sys
from pathlib import Path

import pytest

from broker import provision as provisioning
from broker.access import Member
from broker.authority import Authority, Credential, serials
from broker.private_files import write_folder
from broker.provision import SiteChange, provision
from broker.site import read
from device_agent.settings import DeviceSettings
from experiments.testbed.processes import free_port
from shared.errors import SettingsError
from shared.settings.file import load
from tests.support.deployed_agents import Process
from tests.support.processes import ROOT
from tests.support.provisioned import DEVICE, EDGE, contents, make, recserve


@pytest.fixture(params=["certificate", "password"])
def auth(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


def test_keys_and_passwords_are_their_owners_alone(tmp_path: Path, auth: str) -> None:
    make(tmp_path / "a/site", auth=auth)

    public = {".crt", ".crl", ".conf", ".yaml"}
    paths = [tmp_path / "a", *(tmp_path / "a").rglob("*")]
    assert any(path.name in {"client.key", "password"} for path in paths)
    for path in paths:
        mode = stat.S_IMODE(path.stat().st_mode)
        expected = 0o700 if path.is_dir() else 0o644 if path.suffix in public else 0o600
        assert mode == expected, path


def test_every_machine_gets_only_what_it_needs(tmp_path: Path, auth: str) -> None:
    make(tmp_path / "site", auth=auth)

    listed = {"certificate": {"client.crt", "client.key"}, "password": {"password"}}[auth]
    assert set(contents(tmp_path / "site/agents/device-1")) == {"ca.crt", "mqtt.yaml", *listed}
    files = contents(tmp_path / "site")
    key = files["authority/ca.key"]
    assert [name for name, data in files.items() if data == key] == ["authority/ca.key"]


def test_the_settings_are_ready_for_an_agent(tmp_path: Path, auth: str) -> None:
    make(tmp_path / "site", auth=auth, port=18883, root="plant/7")

    home = tmp_path / "site/agents/device-1"
    rest = "tier: {name: device, upstream: edge}\nmodel: {source: ./bundle}\n"
    (home / "device.yaml").write_text((home / "mqtt.yaml").read_text() + rest)
    settings = load(DeviceSettings, home / "device.yaml")

    assert settings.agent == settings.mqtt.username == "device-1"
    where = (settings.mqtt.host, settings.mqtt.port, settings.mqtt.root)
    assert where == ("broker.lan", 18883, "plant/7")
    assert settings.mqtt.tls is not None
    files = [settings.mqtt.tls.ca_file, settings.mqtt.tls.cert_file, settings.mqtt.tls.key_file]
    named = files if auth == "certificate" else [files[0], settings.mqtt.password_file]
    assert all(home.joinpath(file).is_file() and str(home) in file for file in named)


def test_a_password_is_known_to_the_broker_by_its_hash(tmp_path: Path) -> None:
    make(tmp_path / "site", auth="password")

    password = (tmp_path / "site/agents/device-1/password").read_bytes()
    access = json.loads((tmp_path / "site/broker/access.json").read_text())
    client = next(c for c in access["clients"] if c["username"] == "device-1")
    salt, iterations = base64.b64decode(client["salt"]), client["iterations"]
    hashed = hashlib.pbkdf2_hmac("sha512", password, salt, iterations)
    assert base64.b64decode(client["password"]) == hashed
    assert len(password) >= 43  # 256 bits
    files = contents(tmp_path / "site")
    assert [name for name, data in files.items() if password in data] == [
        "agents/device-1/password"
    ]


def test_running_it_again_changes_nothing(tmp_path: Path, auth: str) -> None:
    make(tmp_path / "site", auth=auth)
    before = contents(tmp_path / "site")

    assert make(tmp_path / "site", auth=auth) == []
    assert provision(tmp_path / "site", SiteChange()) == []

    assert contents(tmp_path / "site") == before


def test_adding_an_agent_leaves_the_others_as_they_are(tmp_path: Path, auth: str) -> None:
    make(tmp_path / "site", auth=auth)
    before = contents(tmp_path / "site")

    done = provision(tmp_path / "site", SiteChange(members=(Member(name="cloud-1", role="cloud"),)))

    assert done == [f"new cloud cloud-1: {tmp_path}/site/agents/cloud-1"]
    after = contents(tmp_path / "site")
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name for name in changed if not name.startswith("agents/cloud-1/")} == {
        "site.json",
        "broker/access.json",
    }
    assert before.keys() <= after.keys()


def test_renewing_replaces_one_credential_and_voids_the_former(tmp_path: Path, auth: str) -> None:
    folder = tmp_path / "site"
    make(folder, auth=auth)
    before, known = contents(folder), read(folder).find("edge-1")
    assert known is not None

    provision(folder, SiteChange(renew=("edge-1",)))

    after = contents(folder)
    changed = {name for name in after if after[name] != before[name]}
    if auth == "certificate":
        assert serials(folder / "broker/revoked.crl") == {int(known.serial, 16)}
        assert changed == {
            "agents/edge-1/client.crt",
            "agents/edge-1/client.key",
            "broker/revoked.crl",
            "site.json",
        }
    else:
        assert changed == {"agents/edge-1/password", "broker/access.json", "site.json"}


def test_renewing_the_broker_may_give_it_other_names(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    make(folder)
    before = contents(folder)
    with pytest.raises(SettingsError, match=r"broker\.lan, 10\.0\.0\.5 only; add --renew broker"):
        make(folder, hosts=("new.lan",))
    assert contents(folder) == before

    make(folder, hosts=("new.lan",), renew=("broker",))

    after = contents(folder)
    assert after["broker/broker.crt"] != before["broker/broker.crt"]
    assert after["broker/ca.crt"] == before["broker/ca.crt"]
    assert read(folder).hosts == ("new.lan",)


def test_a_removed_agent_is_gone_from_everything(tmp_path: Path, auth: str) -> None:
    folder = tmp_path / "site"
    alice = Member(name="alice", role="asker", devices=("device-1",))
    make(folder, auth=auth, members=(DEVICE, EDGE, alice))

    provision(folder, SiteChange(remove=("device-1",)))

    assert not (folder / "agents/device-1").exists()
    access = (folder / "broker/access.json").read_text()
    assert "device-1" not in access
    assert read(folder).find("alice") is not None
    if auth == "certificate":
        assert len(serials(folder / "broker/revoked.crl")) == 1


def test_what_a_member_may_ask_grows_without_a_new_credential(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    devices = (DEVICE, Member(name="device-2", role="device"))
    make(folder, members=(*devices, Member(name="bob", role="asker", devices=("device-1",))))
    key = (folder / "agents/bob/client.key").read_bytes()

    make(folder, members=(Member(name="bob", role="asker", devices=("device-2",)),))

    bob = read(folder).find("bob")
    assert bob is not None
    assert bob.member.devices == ("device-1", "device-2")
    assert (folder / "agents/bob/client.key").read_bytes() == key


def test_topics_of_other_programs_are_added_to_a_device_without_a_new_credential(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "site"
    make(folder)
    key = (folder / "agents/device-1/client.key").read_bytes()
    for words in (
        ("--reads", "device-1:factory/+/log"),
        ("--reads", "device-1:heating/#", "--writes", "device-1:factory/+/log/label"),
    ):
        ran = recserve(folder, *words)
        assert ran.exit_code == 0, ran.output

    device = read(folder).find("device-1")
    assert device is not None
    assert device.member.reads == ("factory/+/log", "heating/#")
    assert device.member.writes == ("factory/+/log/label",)
    assert (folder / "agents/device-1/client.key").read_bytes() == key


def test_certificates_that_end_soon_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "site")
    monkeypatch.setattr(provisioning, "_SOON", 2 * provisioning._SOON + 12 * provisioning._SOON)

    done = provision(tmp_path / "site", SiteChange())

    assert [line.split(" ends on ")[0] for line in done] == [
        f"the certificate of {name}" for name in ("broker", "device-1", "edge-1", "operator")
    ]


def test_an_interrupted_renewal_leaves_no_access_and_is_completed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    make(folder)
    before = read(folder).find("edge-1")
    assert before is not None

    def lose_power(folder: Path, files: dict[str, bytes]) -> None:
        if folder.name == "edge-1":
            raise KeyboardInterrupt
        write_folder(folder, files)

    with monkeypatch.context() as patched:
        patched.setattr(provisioning, "write_folder", lose_power)
        with pytest.raises(KeyboardInterrupt):
            provision(folder, SiteChange(renew=("edge-1",)))
    assert before.serial in read(folder).revoked

    provision(folder, SiteChange(renew=("edge-1",)))
    held = Credential((folder / "agents/edge-1/client.crt").read_bytes(), b"")
    assert held.serial not in serials(folder / "broker/revoked.crl")
    assert int(before.serial, 16) in serials(folder / "broker/revoked.crl")


def test_the_broker_listens_where_its_members_were_told(tmp_path: Path) -> None:
    port = free_port()
    make(tmp_path / "site", hosts=("localhost",), port=port)
    words = ["--provisioned", str(tmp_path / "site/broker"), "--host", "127.0.0.1"]
    words += ["--data-dir", str(tmp_path / "data")]
    broker = Process([sys.executable, "-m", "recserve", "broker", *words], tmp_path, {})
    try:
        broker.listening(port)
    finally:
        broker.kill()


def test_an_agents_own_settings_and_those_of_its_connection_are_two_files(a_site: Path) -> None:
    files = [ROOT / "configs/device.yaml", a_site / "agents/device-1/mqtt.yaml"]
    settings = load(DeviceSettings, files)
    assert (settings.agent, settings.mqtt.host, settings.mqtt.port) == (
        "device-1",
        "broker.lan",
        8883,
    )
    assert (Path(settings.model.source) / "bundle.yaml").is_file()
    assert settings.mqtt.tls is not None
    assert settings.mqtt.tls.key_file == str(a_site / "agents/device-1/client.key")


def test_an_authority_is_taken_up_again(tmp_path: Path) -> None:
    make(tmp_path / "site")
    home = tmp_path / "site/authority"
    credential = Credential((home / "ca.crt").read_bytes(), (home / "ca.key").read_bytes())
    assert Authority.read(credential).credential == credential
