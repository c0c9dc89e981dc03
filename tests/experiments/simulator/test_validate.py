"""What holds plans against replays: how its figures are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from experiments.report.run import read_played
from experiments.simulator.validate import figures, mean_of, trace_cases
from experiments.simulator.validate_plot import Pair, draw_latencies
from tests.support.replay_runs import CLOUD_MS, DEVICE_MS, EDGE_MS, made_record, write_made_run
from tests.support.simulated import machine

if TYPE_CHECKING:
    from pathlib import Path


def test_two_measurements_become_one() -> None:
    first = machine("here").measured
    cost = msgspec.structs.replace(first.handling.keep, cold_us=300.0)
    second = msgspec.structs.replace(
        first, handling=msgspec.structs.replace(first.handling, keep=cost)
    )

    mean = msgspec.convert(
        mean_of([msgspec.to_builtins(each) for each in (first, second)]), type(first)
    )

    assert mean.handling.keep.cold_us == pytest.approx((100 + 300) / 2)
    assert mean.handling.answer == first.handling.answer
    assert (mean.cores, mean.machine) == (first.cores, first.machine)


def test_figures_are_those_of_the_records(tmp_path: Path) -> None:
    records = [made_record(number) for number in range(200)]

    found = figures(read_played(write_made_run(tmp_path, records)))

    assert found.throughput_s == pytest.approx(199 / (199 + (CLOUD_MS - DEVICE_MS) / 1000))
    assert found.shares == {"device": 50.0, "edge": 25.0, "cloud": 25.0}
    assert DEVICE_MS <= found.p50_ms <= EDGE_MS
    assert found.p99_ms == pytest.approx(CLOUD_MS)


def test_each_trace_is_played_at_three_loads() -> None:
    played = trace_cases("azure.csv", "mooncake.jsonl")

    for trace in ("azure.csv", "mooncake.jsonl"):
        speeds = [case.speed for case in played if case.trace == trace]
        assert len(set(speeds)) == 3
        assert speeds == sorted(speeds)


def test_the_picture_shows_every_case(tmp_path: Path) -> None:
    records = [made_record(number) for number in range(50)]
    played = read_played(write_made_run(tmp_path, records))
    pairs = [Pair(f"case-{number}", [played, played], played) for number in range(4)]

    svg = draw_latencies(pairs)

    assert all(f'id="axes_{number}"' in svg for number in range(1, 5))
    assert svg.count("#1f77b4") >= 2 * len(pairs), "two replays in each"
    assert svg.count("stroke-dasharray") >= len(pairs), "and a plan"
