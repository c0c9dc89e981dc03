"""The settings of a replay: every example loads, and what makes no sense is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from experiments.replay.settings import ReplaySettings
from experiments.testbed.processes import UpSettings
from shared.errors import SettingsError
from shared.settings.file import convert, load

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "configs" / "replay").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_loads_and_so_do_its_agents(file: Path) -> None:
    settings = load(ReplaySettings, file)

    assert settings.name == file.stem
    if settings.agents:
        assert load(UpSettings, settings.agents).agents


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agents": "up.yaml", "mqtt": {}}, "agents starts a broker and mqtt names one"),
        ({"mqtt": {}}, "name fleet.config for virtual devices, or fleet.ask"),
        ({"fleet": {"name": "a/b"}}, "fleet.name"),
        ({"part": {"speed": 0}}, "part.speed"),
        ({"part": {"sped": 2}}, "did you mean"),
        ({"pace": {"in_flight": 0}}, "pace.in_flight"),
    ],
)
def test_what_makes_no_sense_is_named(changes: Mapping[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        convert(ReplaySettings, {"trace": {"file": "t.csv"}} | dict(changes), "replay.yaml")
