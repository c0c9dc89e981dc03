"""Nights on the disk: what is found after a process was killed at any point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from edge_agent.nights.folder import (
    Believed,
    NightFolder,
    NightOrder,
    NightOutcome,
    NightRow,
    NightRows,
)
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


def test_a_model_that_passed_is_unfinished_until_somebody_decided_on_it(tmp_path: Path) -> None:
    nights, seen = NightFolder(tmp_path), []
    nights.write_order(order(1))
    nights.write_outcome(NightOutcome(number=1, verdict="passed"))
    seen.append(nights.unfinished)
    nights.believe(Believed(night=1, before=0, own="digest", since_s=1.0))
    seen.append(nights.unfinished)
    nights.believe(Believed(night=0, before=0, own="digest", since_s=2.0, latest=1))  # taken back
    seen.append(nights.unfinished)

    assert seen == [1, None, None]


@pytest.mark.parametrize(("verdict", "left"), [("passed", True), ("rejected", False)])
def test_of_a_night_that_has_ended_no_text_stays_and_a_model_only_if_it_may_serve(
    tmp_path: Path, verdict: Literal["passed", "rejected"], left: bool
) -> None:
    nights = NightFolder(tmp_path)
    nights.write_order(order(1))
    row = NightRow(entry=7, wordings=("Who is it?",), answer="Ida Holm")
    nights.write_rows(1, NightRows(new=(row,), old=()))
    for name in ("bundle", "adapter", "tuned", ".tuned.new"):
        (nights.of(1) / name).mkdir()
    (nights.of(1) / "checkpoint.pt").touch()
    nights.write_outcome(NightOutcome(number=1, verdict=verdict))

    assert nights.rows(1) == NightRows(new=(NightRow(entry=7, answer=""),), old=())
    there = {each.name for each in nights.of(1).iterdir()} - {"order.json", "rows.json"}
    assert there == {"outcome.json", *(("bundle", "adapter") if left else ())}


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
