"""The dead letters of agents, as an operator reads them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from chaos.plan import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read_letters(folder: Path, agents: Iterable[str]) -> list[dict[str, Any]]:
    """Return what ``recserve deadletters`` lists for agents with their settings in ``folder``."""
    letters: list[dict[str, Any]] = []
    for agent in agents:
        config = str(folder / f"{agent}.yaml")
        ran = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "recserve", "deadletters", "list", "--config", config, "--json"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        letters += [msgspec.json.decode(line) for line in ran.stdout.splitlines()]
    return letters
