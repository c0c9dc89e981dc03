"""``recserve night``: what becomes of a night is said in a line, whoever holds it."""

from __future__ import annotations

from threading import Timer
from typing import TYPE_CHECKING

from click.testing import CliRunner

from edge_agent.nights.belief import order_next
from edge_agent.nights.folder import NightFolder, NightOutcome
from edge_agent.nights.settings import NightSettings
from recserve.cli import main
from shared.runtimes import ModelSettings
from shared.storage.state_dir import state_folder
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


def test_a_night_that_an_agent_is_at_is_waited_for_and_no_other_is_asked_for(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    settings = least(tmp_path, "{embedder: none, night: {base: nowhere}}")
    nights = NightFolder(state)
    with state_folder(str(state), "memory"):
        own = ModelSettings(source=str(tmp_path / "bundle"))
        number = order_next(nights, NightSettings(base="nowhere"), own).number
        outcome = NightOutcome(number=number, verdict="rejected", why="it forgot")
        Timer(0.1, nights.write_outcome, [outcome]).start()
        output = said(tmp_path / "edge.yaml", settings)

    assert "night 1: rejected, and the model goes on as it was: it forgot" in output
    assert not nights.take_asked()
