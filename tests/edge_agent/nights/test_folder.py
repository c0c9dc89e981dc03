"""Nights on the disk: what is found after a process was killed at any point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.nights.folder import Believed, NightFolder, NightOrder, NightOutcome
from edge_agent.nights.settings import NightSettings
from shared.errors import StoreError
from shared.runtimes import ModelSettings

if TYPE_CHECKING:
    from pathlib import Path


def order(number: int) -> NightOrder:
    return NightOrder(
        number=number,
        day="2026-03-02",
        ordered_s=1.0,
        memory="memory.db",
        model=ModelSettings(source="bundle"),
        own="digest",
        warm=0,
        night=NightSettings(base="base"),
    )


def test_a_night_is_unfinished_until_something_came_of_it(tmp_path: Path) -> None:
    nights, seen = NightFolder(tmp_path), []
    seen.append(nights.unfinished)
    nights.write_order(order(1))
    seen.append(nights.unfinished)
    nights.write_outcome(NightOutcome(number=1, verdict="failed", why="no"))
    seen.append(nights.unfinished)

    assert seen == [None, 1, None]
    assert nights.order(1) == order(1)
    assert nights.outcome(1) == NightOutcome(number=1, verdict="failed", why="no")


def test_bundles_that_nobody_goes_back_to_are_let_go_of(tmp_path: Path) -> None:
    nights = NightFolder(tmp_path)
    for number in range(1, 6):
        nights.write_order(order(number))
        nights.bundle(number).mkdir()
    nights.believe(Believed(night=5, before=2, own="digest", since_s=1.0))

    assert [number for number in range(1, 6) if nights.bundle(number).exists()] == [2, 4, 5]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    nights = NightFolder(tmp_path)
    nights.write_order(order(1))
    (nights.of(1) / "order.json").write_text("{")

    with pytest.raises(StoreError, match=r"0001/order\.json: cannot be read"):
        nights.order(1)


def test_who_asks_is_heard_once(tmp_path: Path) -> None:
    nights = NightFolder(tmp_path)
    nights.ask()

    assert (nights.take_asked(), nights.take_asked()) == (True, False)
