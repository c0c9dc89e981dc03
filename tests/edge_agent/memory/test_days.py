"""Accounts of days, as they are counted, kept and told."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from edge_agent.memory.days import DAY_S, Days, report
from edge_agent.memory.store import MemoryStore
from tests.support.word_vectors import DIMENSIONS

if TYPE_CHECKING:
    from pathlib import Path

NOON_S = datetime(2026, 11, 27, 12, tzinfo=timezone.utc).timestamp()


def opened(folder: Path | None) -> MemoryStore:
    return MemoryStore.open(folder, "digest-1", DIMENSIONS)


def test_a_day_is_told_by_who_answered_and_by_what_checks_found() -> None:
    days = Days(None)
    for names in (["kept.memory"] * 3, ["kept.model"] * 2, ["up.model", "up.memory", "above"]):
        days.count(NOON_S, *names)
    days.count(NOON_S, "right.memory", above_read=7, above_written=2)
    (day,) = report(days.all())

    assert (day["day"], day["questions"], day["cloud_calls"]) == ("2026-11-27", 7, 2)
    assert day["ways"] == {"memory": 3, "examples": 0, "model": 2, "cloud": 1}
    assert day["unanswered_above"] == 1
    assert (day["tokens"]["above.read"], day["tokens"]["above.written"]) == (7, 2)
    assert (day["checked"], day["wrong"], day["wrong_share"]["mean"]) == (1, 0, 0.0)
    assert 0 < day["wrong_share"]["high"] < 1


def test_where_nothing_was_checked_anything_is_possible() -> None:
    days = Days(None)
    days.count(NOON_S, "kept.memory")

    assert report(days.all())[0]["wrong_share"] == {"low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    "moments",
    [
        (NOON_S, NOON_S + DAY_S, NOON_S),
        (NOON_S + DAY_S, NOON_S, NOON_S),
        (NOON_S, NOON_S - 12 * 3_600 + 1, NOON_S + 12 * 3_600),
    ],
    ids=["over midnight and back", "back by a day", "to the first and past the last second"],
)
def test_a_clock_that_jumps_over_midnight_costs_no_count(moments: tuple[float, ...]) -> None:
    days = Days(None)
    for now_s in moments:
        days.count(now_s, "kept.memory")
    told = report(days.all())

    assert sum(day["questions"] for day in told) == 3
    assert sorted(day["questions"] for day in told) == [1, 2]


async def test_accounts_outlive_the_process_and_are_gone_on_with(tmp_path: Path) -> None:
    store = opened(tmp_path)
    days = Days(store)
    days.count(NOON_S, "kept.memory")
    days.note_night(NOON_S, {"held-out": 0.9, "served": True})
    days.write(NOON_S, 7, 2, 900)
    await store.close()
    store = opened(tmp_path)
    again = Days(store)
    again.count(NOON_S + 60, "kept.memory")
    (day,) = report(again.all())
    await store.close()

    assert (day["questions"], day["entries"], day["ghosts"], day["bytes"]) == (2, 7, 2, 900)
    assert day["nights"] == [{"held-out": 0.9, "served": True}]


async def test_the_oldest_days_are_let_go_of(tmp_path: Path) -> None:
    store = opened(tmp_path)
    days = Days(store)
    for number in range(450):
        days.count(NOON_S + number * DAY_S, "kept.memory")
        days.write(NOON_S + number * DAY_S, 0, 0, 0)
    await store.close()
    store = opened(tmp_path)

    assert len(store.days()) == len(days.all()) == 400
    await store.close()


def test_shorter_days_are_for_rehearsals() -> None:
    days = Days(None, day_s=30)
    for second in (0, 29, 30):
        days.count(NOON_S + second, "kept.memory")

    assert [(day["day"], day["questions"]) for day in report(days.all())] == [
        ("2026-11-27T12:00:00", 2),
        ("2026-11-27T12:00:30", 1),
    ]
