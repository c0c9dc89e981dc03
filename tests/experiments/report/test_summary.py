"""The figures of a report are those of its records, worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from experiments.replay.records import LOST
from experiments.replay.saturation import Tick
from experiments.report.run import read_played
from experiments.report.summary import summarise
from experiments.report.words import grids
from shared.errors import DataError
from tests.support.replay_runs import CLOUD_MS, DEVICE_MS, made_record, made_samples, write_made_run

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from experiments.replay.records import Record


def report(folder: Path, **parts: Any) -> dict[str, Any]:
    records = parts.pop("records", [made_record(number) for number in range(100)])
    return summarise(read_played(write_made_run(folder, records, **parts)))


def test_who_answered_is_counted(tmp_path: Path) -> None:
    tiers = report(tmp_path)["tiers"]

    assert [tiers[name]["answered"] for name in ("device", "edge", "cloud")] == [50, 25, 25]
    assert [tiers[name]["judged"] for name in ("device", "edge", "cloud")] == [100, 50, 25]
    assert [tiers[name]["escalated_share"] for name in ("device", "edge", "cloud")] == [0.5, 0.5, 0]


def test_the_number_that_a_tier_went_by_is_named(tmp_path: Path) -> None:
    hop = made_record(0).hops[0]
    kinds = ("agreement", "", "agreement", "max_probability")
    records = [
        made_record(n, hops=(msgspec.structs.replace(hop, confidence_kind=kind),))
        for n, kind in enumerate(kinds)
    ]

    found = report(tmp_path, records=records)

    assert found["tiers"]["device"]["goes_by"] == "agreement, max_probability"
    (table, *_) = grids(found)
    assert "agreement, max_probability" in table.rows[0]


def test_latencies_count_from_the_intended_time(tmp_path: Path) -> None:
    latency = report(tmp_path)["latency_ms"]

    assert latency["device"]["p50"] == pytest.approx(DEVICE_MS)
    assert latency["cloud"]["p99"] == latency["all"]["max"] == pytest.approx(CLOUD_MS)


def test_the_achieved_rate_is_held_against_the_intended(tmp_path: Path) -> None:
    drifting = [made_record(n, sent_s=n * 1.02, done_s=n * 1.02 + 0.1) for n in range(100)]
    arrivals = report(tmp_path, records=drifting)["arrivals"]

    assert arrivals["intended_per_s"] == 1.0
    assert arrivals["achieved_share"] == pytest.approx(1 / 1.02, abs=1e-4)
    assert arrivals["lateness_ms"]["max"] == pytest.approx(1980)


def test_accuracy_has_an_interval(tmp_path: Path) -> None:
    accuracy = report(tmp_path)["accuracy"]

    assert accuracy["labelled"] == 100
    assert accuracy["share"] == 0.9
    low, high = accuracy["interval_95"]
    assert (low, high) == pytest.approx((0.8256, 0.9448), abs=1e-3)


def test_without_labels_there_is_no_accuracy(tmp_path: Path) -> None:
    records = [made_record(number, label=None) for number in range(10)]

    assert report(tmp_path, records=records)["accuracy"] is None


def test_errors_degraded_and_lost_are_told_apart(tmp_path: Path) -> None:
    records = [made_record(number) for number in range(10)]
    records[1] = made_record(1, answer=None, error="busy", reason="full")
    records[2] = made_record(2, degraded="no edge agent took the prompt")
    records[3] = made_record(3, answer=None, error=LOST, hops=())
    prompts = report(tmp_path, records=records, unfinished=2, prompts=15)["prompts"]

    assert prompts["answered"] == 8
    assert prompts["errors"] == {"busy": 1, "lost": 1}
    assert prompts["degraded_reasons"] == {"no edge agent took the prompt": 1}
    assert (prompts["lost"], prompts["unfinished"], prompts["not_sent"]) == (1, 2, 3)


def test_what_agents_counted_is_in_it(tmp_path: Path) -> None:
    figures = report(tmp_path, samples=made_samples(100))

    edge = figures["agents"]["edge-1"]
    assert edge["batch_prompts_mean"] == 2.0
    assert edge["queue_ms_mean"] == 5.0
    assert edge["queue_ms_p95_at_most"] == 10.0
    assert figures["burden"]["counted_bytes"] == {"device-edge": 100_000}
    assert figures["burden"]["trouble_free_bytes"] == {"device-edge": 2500}
    series = figures["series"]
    assert set(series["link_bytes_per_s"]["device-edge"][:-1]) == {1000.0}
    assert set(series["queue_ms"]["edge-1"][:-1]) == {5.0}


def test_counters_of_an_agent_that_began_anew_are_not_taken_back(tmp_path: Path) -> None:
    before, after = made_samples(50), made_samples(49)
    again = [sample.__class__(**_later(sample)) for sample in after]
    figures = report(tmp_path, samples=[*before, *again])

    assert figures["burden"]["counted_bytes"] == {"device-edge": 50_000 + 49_000}


def _later(sample: Any) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in sample.__struct_fields__} | {
        "at_s": sample.at_s + 51
    }


def test_saturation_is_said(tmp_path: Path) -> None:
    ticks = [Tick(float(s), 50 * s, 50 * s, 50 * s, 0.2) for s in range(1, 31)]
    found = report(tmp_path, ticks=ticks)["saturation"]

    assert [sign["sign"] for sign in found] == ["late"]


def test_a_run_without_a_result_cannot_be_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prompt of this run got a result"):
        report(tmp_path, records=[])


def written_record(number: int, **changes: Any) -> Record:
    answer = {"text": "Ein Hund.", "finish": "stop", "tokens_in": 12, "tokens_out": 4}
    return made_record(
        number,
        task="generate",
        answer=answer | {"prompt_cut": False},
        label="Ein Hund." if number % 2 else None,
        **changes,
    )


def test_texts_are_counted_in_tokens_and_held_against_what_is_wanted(tmp_path: Path) -> None:
    records = [written_record(number, sent_s=0.0, done_s=50.0) for number in range(100)]

    found = report(tmp_path, records=records)

    texts = found["texts"]
    assert (texts["prompts"], texts["tokens_read"], texts["tokens_written"]) == (100, 1200, 400)
    assert texts["written_per_s"] == 8.0
    assert texts["chrf"] == 100.0
    assert found["tiers"]["edge"]["texts"]["tokens_written"] == 100
    assert found["accuracy"] is None, "a text is not right or wrong"
    (table,) = [grid for grid in grids(found) if grid.title.startswith("Texts")]
    assert [row[0] for row in table.rows] == ["all", "device", "edge", "cloud"]


def test_without_texts_there_is_no_table_of_them(tmp_path: Path) -> None:
    found = report(tmp_path)

    assert found["texts"] is None
    assert not [grid for grid in grids(found) if grid.title.startswith("Texts")]
