"""Who grows is found, and who stands still is left in peace."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from chaos import memory
from chaos.memory import LEVEL_MB_MINUTE, Reading, grows_mb_minute, held_mb, watch


def readings(*megabytes: float) -> list[Reading]:
    """Return readings of half a minute each."""
    return [Reading(30.0 * number, held) for number, held in enumerate(megabytes)]


def test_a_steady_growth_is_told_in_megabytes_a_minute() -> None:
    grows = grows_mb_minute(readings(*(50 + 0.5 * number for number in range(20))), last_s=600)
    assert grows == pytest.approx(1.0)


def test_only_the_last_of_it_counts() -> None:
    warming_up = [50.0 + number for number in range(20)]
    assert grows_mb_minute(readings(*warming_up, *[70.0] * 21), last_s=600) == pytest.approx(0.0)


@pytest.mark.parametrize("before", [4, 8, 14, 18])
def test_one_burst_of_which_something_is_kept_is_level(before: int) -> None:
    grows = grows_mb_minute(readings(*[70.0] * before, *[72.0] * (21 - before)), last_s=600)
    assert grows < LEVEL_MB_MINUTE


def test_a_leak_shows_through_bursts() -> None:
    leaks = [70.0 + 0.2 * number + (number % 5 == 0) for number in range(21)]
    assert grows_mb_minute(readings(*leaks), last_s=600) > LEVEL_MB_MINUTE


def test_a_single_reading_says_nothing() -> None:
    assert grows_mb_minute(readings(50.0), last_s=600) == 0.0


def test_what_a_process_holds_is_read_and_one_that_is_gone_holds_nothing() -> None:
    assert 5 < held_mb(os.getpid()) < 10_000
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    assert held_mb(process.pid) == 0.0


async def test_processes_are_watched_for_as_long_as_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "EVERY_S", 0.05)
    watched = await watch({"we": os.getpid()}, 0.2)
    assert 2 <= len(watched["we"]) <= 5
    assert all(reading.megabytes > 5 for reading in watched["we"])
