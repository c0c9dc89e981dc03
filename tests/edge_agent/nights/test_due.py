"""A night begins by the clock once a date, or by volume, and not for nothing."""

from __future__ import annotations

from datetime import datetime

import pytest

from edge_agent.nights.due import why_due
from edge_agent.nights.settings import NightSettings

CLOCK = NightSettings(base="base", at="03:00", least=10)
VOLUME = NightSettings(base="base", after=50, least=10)


def at(clock: str, day: str = "2026-03-02") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00")


@pytest.mark.parametrize(
    ("clock", "last_day", "due"),
    [
        ("02:59", "2026-03-01", False),
        ("03:00", "2026-03-01", True),
        ("23:59", "2026-03-01", True),
        ("03:01", "2026-03-02", False),
        ("03:00", "", True),
        ("03:00", "2026-03-03", False),  # the clock was set back over midnight
    ],
)
def test_the_clock_brings_one_night_a_date_however_it_jumps(
    clock: str, last_day: str, due: bool
) -> None:
    assert bool(why_due(CLOCK, at(clock), last_day, 20, 20)) is due


def test_so_many_fresh_entries_bring_a_night_at_any_time() -> None:
    assert why_due(VOLUME, at("12:00"), "2026-03-02", 60, 50) == "50 entries are new"
    assert why_due(VOLUME, at("12:00"), "2026-03-02", 200, 49) == ""


def test_too_few_entries_bring_no_night() -> None:
    assert why_due(CLOCK, at("04:00"), "2026-03-01", 9, 9) == ""


def test_without_clock_and_volume_there_is_no_night() -> None:
    assert why_due(NightSettings(base="base"), at("04:00"), "", 1_000, 1_000) == ""
