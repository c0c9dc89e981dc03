"""Which model serves after a night, and after the settings name another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.memory.settings import MemorySettings
from edge_agent.nights.belief import believed_model, nights_of, order_next
from edge_agent.nights.folder import Believed, NightFolder
from edge_agent.nights.settings import NightSettings
from shared.errors import SettingsError
from shared.runtimes import ModelSettings
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

NIGHT = NightSettings(base="base")


@pytest.fixture
def own(tmp_path: Path) -> ModelSettings:
    return ModelSettings(source=str(write_bundle(tmp_path / "own").folder))


def believe_first_night(nights: NightFolder, own: ModelSettings) -> None:
    order = order_next(nights, NIGHT, own)
    write_bundle(nights.bundle(order.number), name="learned")
    nights.believe(Believed(night=order.number, before=order.warm, own=order.own, since_s=1.0))


def test_the_settings_model_serves_until_a_night_is_believed(
    tmp_path: Path, own: ModelSettings
) -> None:
    nights = NightFolder(tmp_path)
    assert believed_model(nights, own) == own
    believe_first_night(nights, own)

    assert believed_model(nights, own).source == str(nights.bundle(1))


def test_the_next_night_goes_on_from_the_one_that_is_believed(
    tmp_path: Path, own: ModelSettings
) -> None:
    nights = NightFolder(tmp_path)
    believe_first_night(nights, own)
    order = order_next(nights, NIGHT, own)

    assert (order.number, order.warm, order.model.source) == (2, 1, str(nights.bundle(1)))


def test_another_model_in_the_settings_ends_what_was_built_on_the_last(
    tmp_path: Path, own: ModelSettings
) -> None:
    nights = NightFolder(tmp_path)
    believe_first_night(nights, own)
    other = ModelSettings(source=str(write_bundle(tmp_path / "other", bias=1.0).folder))

    assert believed_model(nights, other) == other
    assert order_next(nights, NIGHT, other).warm == 0


def test_a_night_whose_bundle_was_altered_is_not_served(tmp_path: Path, own: ModelSettings) -> None:
    nights = NightFolder(tmp_path)
    believe_first_night(nights, own)
    (nights.bundle(1) / "tokenizer.json").write_text("{}")

    assert believed_model(nights, own) == own


def test_nights_need_a_folder() -> None:
    with pytest.raises(SettingsError, match=r"memory\.night needs a folder .* name one in state"):
        nights_of(MemorySettings(embedder="e", night=NIGHT), "")
