"""The command that provisions a site, as it is typed and as its page shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from broker.access import Member
from broker.site import Site, read
from tests.support.processes import ROOT
from tests.support.provisioned import DEVICE, EDGE, recserve

if TYPE_CHECKING:
    from pathlib import Path


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
