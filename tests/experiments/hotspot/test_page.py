from __future__ import annotations

import math

import msgspec
import pytest

from experiments.hotspot.goals import verdicts
from experiments.hotspot.page import page
from experiments.hotspot.repeats import interval
from experiments.hotspot.settings import HotspotSettings
from experiments.hotspot.study import HotspotReport, SystemReport, calibration_error


def system(calls: int) -> SystemReport:
    return SystemReport(
        accuracy=0.9,
        accuracy_by_day=[0.9, 0.9],
        cloud_calls=calls,
        cloud_calls_by_day=[calls - 10, 10],
        false_reuse=0.001,
        edge_tokens_per_question=12.0,
        edge_tokens_by_day=[12.0, 12.0],
        index_entries=30,
        degraded=0,
        ways={"cloud": calls},
    )


def test_other_seeds_stand_in_a_table_with_what_is_missed() -> None:
    def report(seed: int, calls: int) -> HotspotReport:
        names = ("all-cloud", "ic-cache-like", "gptcache-0.90")
        systems = {name: system(200) for name in names} | {"memory": system(calls)}
        settings = HotspotSettings(days=2, seed=seed)
        return HotspotReport(settings=settings, questions=400, embedder="x", systems=systems)

    text = page(report(0, 110), [report(1, 160)], report(0, 110))

    assert "| 0 | +0.0 | 0.55 | 0.55 | 0.10 | 0.10% |" in text
    assert "| 1 | +0.0 | 0.80 | 0.80 | 0.07 | 0.10% |" in text
    row = "| calls, of gptcache-0.90's | at most 0.75 | 0.55, 0.80 | **missed on seed 1 by 0.05** |"
    assert row in text
    assert "| calls, of ic-cache-like's | at most 0.85 | 0.55, 0.80 | reached |" in text
    assert "| calls without nights | at least 1.12 | not measured | not measured |" in text
    assert "| memory | 90.0% | +0.0 ± 0.0 | 55 ± 572 | 0.10% |" in text


def test_a_goal_says_by_how_much_it_is_missed_and_what_was_not_measured() -> None:
    reports = [
        HotspotReport(
            settings=HotspotSettings(days=2, seed=seed),
            questions=400,
            embedder="x",
            systems={"memory": system(calls), "gptcache-0.90": system(200)},
        )
        for seed, calls in ((0, 150), (1, 170))
    ]
    said = dict(line.split(": ", 1) for line in verdicts(reports))

    assert said["calls, of gptcache-0.90's"] == "**missed on seed 1 by 0.10**"
    assert said["entries, of the room"] == "reached"
    assert said["calls without awareness"] == "not measured"


def test_a_calibration_error_is_the_gap_between_what_was_told_and_what_was_right() -> None:
    surely_wrong = [(0.95, False)] * 5 + [(0.95, True)] * 5
    assert calibration_error(surely_wrong) == pytest.approx(0.45)
    assert calibration_error([(0.5, True), (0.5, False), (1.0, True)]) == pytest.approx(0.0)
    assert calibration_error([]) is None


def test_an_interval_is_students() -> None:
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.30 / 3**0.5))
    assert math.isnan(interval([1.0])[1])


def test_the_page_sets_the_memory_beside_the_others() -> None:
    systems = {"ic-cache-like": system(200), "memory": system(110)}
    report = HotspotReport(
        settings=HotspotSettings(days=2), questions=400, embedder="x", systems=systems
    )
    text = page(msgspec.json.decode(msgspec.json.encode(report), type=HotspotReport))

    assert "| **memory** | 90.0% | 110 | 100 | 10 |" in text
    assert "0.55 of ic-cache-like's" in text
    assert "0.10 of those of the first" in text
