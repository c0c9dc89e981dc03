"""``recserve night`` where no agent runs: what becomes of the night is said in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from edge_agent.nights.folder import NightFolder
from recserve.cli import main
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def said(settings: Path, text: str) -> str:
    settings.write_text(text)
    ran = CliRunner().invoke(main, ["night", "--config", str(settings)])
    assert ran.exit_code == 2, ran.output
    return ran.output


def least(folder: Path, memory: str) -> str:
    bundle = write_bundle(folder / "bundle").folder
    return (
        "agent: edge-1\n"
        "tier: {name: edge, upstream: cloud}\n"
        f"model: {{source: {bundle}}}\n"
        f"state: {folder / 'state'}\n"
        f"memory: {memory}\n"
    )


def test_settings_without_nights_are_refused(tmp_path: Path) -> None:
    output = said(tmp_path / "edge.yaml", least(tmp_path, "{embedder: none}"))

    assert output == "error: memory.night is missing: it says which model learns, and how\n"


def test_a_night_that_fails_is_said_and_nothing_new_is_believed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    settings = least(tmp_path, "{embedder: none, night: {base: nowhere}}")
    output = said(tmp_path / "edge.yaml", settings)  # nobody has remembered anything yet

    assert "night 1: failed, and the model goes on as it was: " in output
    assert "memory.db" in output
    assert NightFolder(tmp_path / "state").believed is None
