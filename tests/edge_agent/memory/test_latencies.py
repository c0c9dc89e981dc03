"""How long answers took: a sketch of counts, held against the times themselves and the log's."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from structlog.testing import capture_logs

from edge_agent.memory.days import DAY_S, Days, report
from edge_agent.memory.latencies import ERROR, bin_of, quantile_ms
from edge_agent.memory.store import MemoryStore
from experiments.report.memory_days import day_grids, day_page
from tests.support.cascades import cascade
from tests.support.remembering_tiers import QUESTION, Tiers, settings
from tests.support.wires import MemoryWire
from tests.support.word_vectors import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NOW_S = 1_800_000_000.0
SHARES = {"p50": 0.5, "p95": 0.95}


def ranked(times_us: Sequence[int], share: float) -> float:
    """Return the quantile by its definition, in milliseconds."""
    return sorted(times_us)[max(1, math.ceil(share * len(times_us))) - 1] / 1_000


def sketched(times_us: Sequence[int]) -> dict[int, int]:
    bins: dict[int, int] = {}
    for time_us in times_us:
        bins[bin_of(time_us)] = bins.get(bin_of(time_us), 0) + 1
    return bins


@given(
    some.lists(some.integers(1, 10**9), min_size=1, max_size=40),
    some.sampled_from([0.0, 0.01, 0.5, 0.95, 1.0]),
)
def test_a_quantile_is_within_a_hundredth_of_the_time_of_its_rank(
    times_us: list[int], share: float
) -> None:
    assert quantile_ms(sketched(times_us), share) == pytest.approx(
        ranked(times_us, share), rel=ERROR + 1e-9
    )


def test_a_day_of_a_hundred_thousand_answers_takes_few_numbers() -> None:
    draw = random.Random(3)
    bins = sketched([int(draw.lognormvariate(9, 1.5)) for _ in range(100_000)])

    assert len(bins) < 900
    assert bin_of(0) == bin_of(1) == 0


async def test_times_outlive_the_process_and_each_day_has_its_own(tmp_path: Path) -> None:
    store = MemoryStore.open(tmp_path, "digest-1", DIMENSIONS)
    days = Days(store)
    for number in range(1, 101):
        days.took(NOW_S, "memory", 1_000 * number)
    days.took(NOW_S + DAY_S, "cloud", 2_000_000)
    for moment_s in (NOW_S, NOW_S + DAY_S):
        days.write(moment_s, 0, 0, 0)
    await store.close()
    store = MemoryStore.open(tmp_path, "digest-1", DIMENSIONS)
    first, second = report(Days(store).all())
    await store.close()

    assert first["took_ms"]["memory"]["p50"] == pytest.approx(50.0, rel=ERROR)
    assert first["took_ms"]["memory"]["p95"] == pytest.approx(95.0, rel=ERROR)
    assert second["took_ms"] == {"cloud": {"p50": pytest.approx(2_000, rel=ERROR)} | {
        "p95": pytest.approx(2_000, rel=ERROR)
    }}  # fmt: skip


async def test_the_times_of_a_report_are_those_of_the_log(embedder: str) -> None:
    async with cascade(MemoryWire()) as cascaded:
        tiers = Tiers(cascaded, settings(embedder))
        await tiers.start()
        with capture_logs() as lines:
            for text in [QUESTION, "hard", *[QUESTION, "hard"] * 10]:
                await tiers.ask(text)
        days = report(tiers.memory.days.all())
    took_us = defaultdict[str, list[int]](list)
    for line in lines:
        if line.get("event") == "prompt judged" and line["agent"] == "edge-1":
            took_us[_way(line)].append(line["elapsed_us"])

    (day,) = days
    assert {way: len(times) for way, times in took_us.items()} == {
        "up": 1, "model": 11, "memory": 10,
    }  # fmt: skip
    for way in ("memory", "model"):
        for name, share in SHARES.items():
            time_ms = ranked(took_us[way], share)
            rounded_ms = pytest.approx(time_ms, rel=0, abs=ERROR * time_ms + 0.001)
            assert day["took_ms"][way][name] == rounded_ms
    assert day["took_ms"]["cloud"]["p50"] > took_us["up"][0] / 1_000
    assert set(day["took_ms"]) == {"memory", "model", "cloud"}


def test_the_table_and_the_page_have_them() -> None:
    days = Days(None)
    days.count(NOW_S, "kept.memory")
    days.took(NOW_S, "memory", 2_000)
    days.took(NOW_S, "memory", 40_000)
    told = report(days.all())
    told[0]["cost"] = 0.0
    rows = {grid.title: grid.rows for grid in day_grids(told)}

    ((_, memory, *others),) = rows["How long an answer took, p50 / p95 ms"]
    took = told[0]["took_ms"]["memory"]
    assert memory == f"{took['p50']:.1f} / {took['p95']:.1f}"
    assert took["p95"] == pytest.approx(40.0, rel=ERROR)
    assert others == ["–"] * 3
    assert memory in day_page("edge-1", told, [])


def _way(line: Mapping[str, Any]) -> str:
    if line["outcome"] == "escalated":
        return "up"
    return "memory" if line["confidence_kind"] == "remembered" else "model"
