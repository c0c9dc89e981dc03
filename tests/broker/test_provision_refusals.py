"""What provisioning refuses, and that it then changes nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from broker.access import Member
from broker.provision import SiteChange, provision
from shared.errors import SettingsError
from tests.support.provisioned import contents, make

if TYPE_CHECKING:
    from pathlib import Path


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
