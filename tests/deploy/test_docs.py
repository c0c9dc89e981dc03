"""docs/deploy.md: what it names is there, and its commands are well formed."""

from __future__ import annotations

import re
import subprocess

import click
import pytest

from device_agent.settings import DeviceSettings
from recserve.cli import main
from shared.settings.file import load
from tests.support.deploy_files import ROOT, UNITS, compose

TEXT = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
CODE = [*BLOCKS, *re.findall(r"`([^`\n]+)`", TEXT)]


def test_every_file_it_names_is_in_the_repository() -> None:
    named = set(re.findall(r"\b((?:deploy|configs)/[A-Za-z0-9_./-]*[a-z])", TEXT))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_subcommand_it_names_exists() -> None:
    commands = set(re.findall(r"\brecserve ([a-z]+)\b", "\n".join(CODE)))
    assert commands >= {"ask", "doctor", "pack", "up"}
    assert commands <= set(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_every_block_is_shell(block: str) -> None:
    done = subprocess.run(["sh", "-n"], input=block, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_installed_goes_where_the_unit_looks() -> None:
    units = "".join(path.read_text(encoding="utf-8") for path in UNITS.rglob("*") if path.is_file())
    for path in ("/opt/recserve/.venv/bin/", "/etc/recserve/device.env", "mosquitto.conf"):
        assert path in TEXT
        assert path in units


def test_every_service_and_profile_it_names_is_in_the_compose_file() -> None:
    services = compose()["services"]
    assert set(re.findall(r"--scale (\w+)=", TEXT)) <= set(services)
    profiles = {name for service in services.values() for name in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\w+)", TEXT)) == profiles


def test_every_setting_it_names_is_one() -> None:
    text = "\n".join(CODE)
    named = dict(re.findall(r"\b(RECSERVE_[A-Z_]+)(?:=|: )(\S+)", text))
    assert {"RECSERVE_TIER__POLICY__BETA", "RECSERVE_MODEL__PROVIDERS"} <= set(named)
    load(DeviceSettings, ROOT / "configs/device.yaml", environment=named)


ELSEWHERE = ("experiments/", "tests/")
STRANGERS = re.compile(r"\b(?:pip3?|pipx|uv)\b[^\n|]*\binstall\b[^\n|]* [\"']?recserve(?![\w./-])")


def test_nobody_is_told_to_install_a_package_of_a_name_that_is_not_ours() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [n for n in listed.stdout.splitlines() if not n.startswith(ELSEWHERE)]
    told = {
        name: found[0]
        for name in names
        if (ROOT / name).suffix
        in {"", ".md", ".py", ".yaml", ".sh", ".toml", ".example", ".service"}
        and (found := STRANGERS.search((ROOT / name).read_text(encoding="utf-8", errors="replace")))
    }
    assert told == {}


@pytest.mark.parametrize(
    "line",
    ["pip install recserve", 'pip install "recserve[edge]"', "python -m pip install -U 'recserve'"],
)
def test_such_a_line_would_be_found(line: str) -> None:
    assert STRANGERS.search(line)


@pytest.mark.parametrize("line", ['pip install -e ".[edge]"', 'pip install "/opt/recserve[cloud]"'])
def test_what_is_installed_from_a_checkout_is_ours(line: str) -> None:
    assert not STRANGERS.search(line)
