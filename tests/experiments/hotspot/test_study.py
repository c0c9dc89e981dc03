"""A small study on real embeddings, end to end through the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner

from experiments.hotspot.study import HotspotReport
from recserve.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")

SYSTEMS = ("all-cloud", "gptcache-0.80", "gptcache-0.90", "ic-cache-like", "memory")
SMALL = (
    *("--facts=900", "--days=6", "--questions-a-day=250", "--warm-up=400", "--capacity=80"),
    *("--seed=2", *(f"--system={name}" for name in SYSTEMS)),
)


@pytest.fixture(scope="module")
def out(embedder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hotspot") / "out"
    words = ["experiment", "hotspot", "--embedder", str(embedder), "--out", str(folder), *SMALL]
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 0, ran.output
    assert "report.json" in ran.output
    return folder


@pytest.fixture(scope="module")
def report(out: Path) -> HotspotReport:
    return msgspec.json.decode((out / "report.json").read_bytes(), type=HotspotReport)


def test_the_memory_is_about_as_right_as_the_cloud_and_asks_it_less(report: HotspotReport) -> None:
    ours, cloud = report.systems["memory"], report.systems["all-cloud"]

    assert ours.accuracy >= cloud.accuracy - 0.02
    assert ours.cloud_calls < report.systems["ic-cache-like"].cloud_calls
    assert ours.cloud_calls < report.systems["gptcache-0.90"].cloud_calls
    assert ours.cloud_calls_by_day[-1] < ours.cloud_calls_by_day[0]


def test_it_seldom_gives_the_answer_to_another_question(report: HotspotReport) -> None:
    assert report.systems["memory"].false_reuse <= 0.015
    assert report.systems["gptcache-0.80"].false_reuse > report.systems["memory"].false_reuse


def test_nobody_keeps_more_than_there_is_room_for(report: HotspotReport) -> None:
    assert all(system.index_entries <= 80 for system in report.systems.values())


def test_every_question_is_answered_once_in_one_way(report: HotspotReport) -> None:
    for system in report.systems.values():
        assert sum(system.ways.values()) == report.questions == 1_500
        assert sum(system.cloud_calls_by_day) == system.cloud_calls


def test_how_likely_right_the_memory_takes_its_answers_to_be_is_about_how_often_they_are(
    report: HotspotReport,
) -> None:
    error = report.systems["memory"].calibration_error

    assert error is not None
    assert error <= 0.1
    assert report.systems["memory"].entries_overnight < report.systems["memory"].index_entries


def test_pictures_lie_beside_the_report(out: Path) -> None:
    assert sorted(path.name for path in out.glob("*.png")) == ["by-day.png", "tradeoff.png"]


def test_without_the_cloud_every_question_is_answered_and_marked(embedder: Path, out: Path) -> None:
    words = ["experiment", "hotspot", "--embedder", str(embedder), "--out", str(out), *SMALL[:6]]
    ran = CliRunner().invoke(main, [*words, "--system", "memory", "--outage", "3", "0", "249"])
    assert ran.exit_code == 0, ran.output
    found = msgspec.json.decode((out / "report.json").read_bytes(), type=HotspotReport)
    ours = found.systems["memory"]

    assert sum(ours.ways.values()) == 1_500
    assert (ours.cloud_calls_by_day[2], ours.degraded) == (0, 250)
    assert ours.cloud_calls_by_day[3] > 0


def test_a_system_that_is_none_is_named(embedder: Path, out: Path) -> None:
    words = ["experiment", "hotspot", "--embedder", str(embedder), "--out", str(out), *SMALL]
    ran = CliRunner().invoke(main, [*words, "--system", "magic"])

    assert ran.exit_code == 2
    assert "there is no system 'magic'" in ran.output
