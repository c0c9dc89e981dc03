"""A site to provision, and what is then in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from broker.access import Member
from broker.provision import SiteChange, provision
from recserve.cli import main

if TYPE_CHECKING:
    from pathlib import Path

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


def recserve(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["provision", str(folder), *words])
