"""``recserve center`` as a person starts it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from cloud_agent.center.command import command

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = ("--config", "configs/center.yaml")


def test_without_what_the_page_needs_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith("cloud_agent.center.web.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = CliRunner().invoke(command, [*CONFIG, "--set", f"state={tmp_path}"])

    assert ran.exit_code == 2
    assert "uvicorn is not installed" in ran.stderr
    assert '".[center]"' in ran.stderr


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("lease=3", "did you mean"),
        ("name=a/b", "contains '/'"),
        ("authority=nowhere.pub", "nowhere.pub: cannot be read"),
        ("mqtt.username=somebody", "they are one"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(flag: str, says: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(command, [*CONFIG, "--set", f"state={tmp_path}", "--set", flag])

    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1
    assert says in ran.stderr
