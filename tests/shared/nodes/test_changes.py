"""Settings of a centre's outlive the process, whatever came between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.nodes.changes import SettingChanges
from shared.wire.control import Desired
from tests.support.shipped import store_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BETA = {"tier.policy.beta": "0.4"}


async def test_settings_that_could_not_be_kept_are_kept_at_the_next_try(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    taken: list[Mapping[str, str]] = []
    changes = SettingChanges({}, taken.append, lambda on: None)
    desired = Desired(generation=1, settings=BETA)
    in_the_way = tmp_path / ".store.json.new"
    in_the_way.mkdir()
    with pytest.raises(OSError, match="directory"):
        await changes.bring_about(desired, store)
    in_the_way.rmdir()

    await changes.bring_about(desired, store)

    assert (store.note().settings, taken) == (BETA, [BETA])


async def test_settings_of_an_earlier_life_that_nobody_wants_any_more_are_forgotten(
    tmp_path: Path,
) -> None:
    store = store_of(tmp_path)
    await SettingChanges({}, lambda wanted: None, lambda on: None).bring_about(
        Desired(generation=1, settings=BETA), store
    )
    left_out = SettingChanges({}, lambda wanted: None, lambda on: None)

    await left_out.bring_about(Desired(generation=2), store)

    assert store.note().settings == {}
