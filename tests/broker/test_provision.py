"""What provisioning writes, keeps and refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from broker import provision as provisioning
from broker.access import Member
from broker.authority import Authority, Credential, serials
from broker.private_files import write_folder
from broker.provision import SiteChange, provision
from broker.secured import listening_port
from broker.site import Site, read
from device_agent.settings import DeviceSettings
from experiments.testbed.processes import free_port
from recserve.cli import main
from shared.errors import SettingsError
from shared.settings.file import load
from tests.support.deployed_agents import Process
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

DEVICE = Member(name="device-1", role="device")
EDGE = Member(name="edge-1", role="edge", pool="north")


def make(folder: Path, **wanted: Any) -> list[str]:
    defaults: dict[str, Any] = {"hosts": ("broker.lan", "10.0.0.5"), "members": (DEVICE, EDGE)}
    return provision(folder, SiteChange(**(defaults | wanted)))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def a_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site to copy."""
    folder = tmp_path_factory.mktemp("provisioned") / "site"
    make(folder)
    return folder


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


def test_without_the_authoritys_key_rights_can_change_but_nobody_new_gets_a_certificate(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "site"
    make(folder)
    (folder / "authority").rename(tmp_path / "safe")

    provision(folder, SiteChange(members=(Member(name="edge-1", role="edge", pool="south"),)))
    assert "$share/south/" in (folder / "broker/access.json").read_text()

    for wanted in (
        SiteChange(members=(Member(name="device-9", role="device"),)),
        SiteChange(renew=("edge-1",)),
        SiteChange(renew=("broker",)),
        SiteChange(remove=("edge-1",)),
    ):
        before = contents(folder)
        with pytest.raises(SettingsError, match=r"ca\.key: .*put its folder back"):
            provision(folder, wanted)
        assert contents(folder) == before
    assert not (folder / "agents/device-9").exists()
    (tmp_path / "safe").rename(folder / "authority")
    provision(folder, SiteChange(members=(Member(name="device-9", role="device"),)))
    assert (folder / "agents/device-9").is_dir()


def _reading(filter_: str) -> Member:
    return Member(name="device-1", role="device", reads=(filter_,))


REFUSED = [
    ({"members": (Member(name="../x", role="device"),)}, "'../x' contains '/'"),
    ({"members": (Member(name="..", role="device"),)}, "begin with a letter or digit"),
    ({"members": (Member(name=".hidden", role="device"),)}, "begin with a letter or digit"),
    ({"members": (Member(name="a b", role="device"),)}, "contains ' '"),
    ({"members": (Member(name="x" * 65, role="device"),)}, "longer than 64"),
    ({"members": (Member(name="broker", role="device"),)}, "'broker' is taken"),
    ({"members": (Member(name="operator", role="edge"),)}, "'operator' is taken"),
    ({"members": (Member(name="device-1", role="edge"),)}, "as device, not edge"),
    ({"members": (Member(name="e", role="edge", pool="edge-1"),)}, "the name of a member"),
    ({"members": (Member(name="c", role="cloud", pool="north"),)}, "span two tiers"),
    ({"members": (Member(name="a", role="asker", devices=("ghost",)),)}, "add --device ghost"),
    ({"members": (_reading("#"),)}, "'#' must begin with a level of its own"),
    ({"members": (_reading("+/log"),)}, "must begin with a level of its own"),
    ({"members": (_reading("/log"),)}, "must begin with a level of its own"),
    ({"members": (_reading("$SYS/#"),)}, "must begin with a level of its own"),
    ({"members": (_reading("recserve/v1/ask/x"),)}, "nor 'recserve'"),
    ({"members": (_reading("factory/#/log"),)}, "is no MQTT filter"),
    ({"members": (_reading("factory/a+/log"),)}, "is no MQTT filter"),
    ({"renew": ("ghost",)}, "nobody here is called 'ghost'; known: device-1, edge-1, operator"),
    ({"remove": ("ghost",)}, "nobody here is called 'ghost'"),
    ({"remove": ("operator",)}, "cannot be removed"),
    ({"auth": "password"}, "this site has --auth certificate"),
    ({"port": 1}, "this site has --port 8883"),
    ({"root": "other"}, "this site has --root recserve"),
]


@pytest.mark.parametrize(("wanted", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_a_request_that_contradicts_the_site_changes_nothing(
    tmp_path: Path, a_site: Path, wanted: dict[str, Any], says: str
) -> None:
    folder = shutil.copytree(a_site, tmp_path / "site")
    before = contents(tmp_path)

    with pytest.raises(SettingsError, match=says.replace(".", r"\.")):
        provision(folder, SiteChange(**wanted))

    assert contents(tmp_path) == before


@pytest.mark.parametrize("host", ["", "two words", "-x", "a\nlistener 1883", "x" * 254])
def test_a_host_that_no_certificate_can_carry_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="neither a host name nor an address"):
        make(tmp_path / "site", hosts=(host,))
    assert not (tmp_path / "site").exists()


def test_nothing_is_overwritten_that_the_site_did_not_make(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "holiday.jpg").touch()
    with pytest.raises(SettingsError, match=r"not empty and holds no site\.json"):
        make(folder)
    (folder / "holiday.jpg").unlink()
    make(folder)

    stray = folder / "agents/device-7"
    stray.mkdir()
    with pytest.raises(SettingsError, match="belongs to no member; move it away"):
        make(folder, members=(Member(name="device-7", role="device"),))
    assert not list(stray.iterdir())


def test_a_site_that_was_altered_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    make(folder)
    (folder / "site.json").write_text('{"version": 2}')
    with pytest.raises(SettingsError, match=r"site.json: is not the file of a site"):
        make(folder)


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


def test_the_command_makes_a_site_and_says_what_is_left_to_do(tmp_path: Path) -> None:
    words = ["--broker-host", "broker.lan", "--device", "device-1", "--edge", "edge-1:north"]
    words += ["--cloud", "cloud-1", "--asker", "alice:device-1", "--auth", "password"]
    ran = recserve(tmp_path / "site", *words)

    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].endswith(f"recserve broker --provisioned {tmp_path}/site")
    site: Site = read(tmp_path / "site")
    assert site.members == [
        DEVICE,
        EDGE,
        Member(name="cloud-1", role="cloud"),
        Member(name="alice", role="asker", devices=("device-1",)),
        Member(name="operator", role="operator"),
    ]
    password = (tmp_path / "site/agents/device-1/password").read_text()
    assert password not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "a new site needs --broker-host"),
        (("--broker-host", "b", "--asker", "alice"), "--asker NAME:DEVICE"),
        (("--broker-host", "b", "--device", "a/b"), "contains '/'"),
        (("--broker-host", "b", "--reads", "device-1"), "--reads DEVICE:FILTER"),
        (("--broker-host", "b", "--writes", "device-1:"), "--writes DEVICE:FILTER"),
    ],
)
def test_a_wrong_command_is_one_clear_line(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    ran = recserve(tmp_path / "site", *words)

    assert ran.exit_code == 2
    assert ran.stderr.startswith("error: ")
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_the_documented_commands_do_what_they_say(tmp_path: Path) -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"recserve provision site( --[^`\n]+)", page)
    assert len(commands) > 5
    folder = tmp_path / "site"
    for words in commands:
        ran = recserve(folder, *words.split())
        assert ran.exit_code == 0, (words, ran.output)
        if words == commands[0]:
            made = (folder / "agents/device-1/mqtt.yaml").read_text().partition("\n")[2]
            assert f"```yaml\n{made}```" in page
    names = [member.name for member in read(folder).members]
    assert names == ["device-2", "edge-1", "cloud-1", "alice", "operator", "device-3"]


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


def test_a_site_of_before_listens_on_the_usual_port(a_site: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(a_site / "broker", tmp_path / "broker"))
    (folder / "listener.yaml").unlink()
    assert listening_port(folder) == 8883


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


BENT = {
    "not UTF-8": lambda text: text.replace("device-1", "device\udcff1"),
    "a list": lambda _: "[1, 2]",
    "deep": lambda _: "[" * 100_000,
    "a number for a name": lambda text: text.replace('"device-1"', "17"),
    "a way out of its folder": lambda text: text.replace('"device-1"', '"../../home"'),
    "a line in a filter": lambda text: text.replace('"reads": []', '"reads": ["a\\nb/c"]'),
    "a serial that is none": lambda text: re.sub(r'"serial": "\w+"', '"serial": "xyz"', text),
    "a root with a wildcard": lambda text: text.replace('"recserve"', '"recserve/+"'),
    "a port beyond all": lambda text: text.replace("8883", "88830"),
    "empty": lambda _: "",
}


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT.keys())
def test_a_site_file_of_any_other_form_is_refused_by_name(
    a_site: Path, tmp_path: Path, bend: Callable[[str], str]
) -> None:
    text = (a_site / "site.json").read_text(encoding="utf-8")
    bent = bend(text)
    assert bent != text
    (tmp_path / "site.json").write_text(bent, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(SettingsError, match=r"site\.json: is not the file of a site: ") as refused:
        read(tmp_path)
    assert "\n" not in str(refused.value)


def test_an_authority_is_taken_up_again(tmp_path: Path) -> None:
    make(tmp_path / "site")
    home = tmp_path / "site/authority"
    credential = Credential((home / "ca.crt").read_bytes(), (home / "ca.key").read_bytes())
    assert Authority.read(credential).credential == credential


def recserve(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["provision", str(folder), *words])
