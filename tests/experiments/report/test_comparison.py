"""Two runs differ beyond noise when they do, and do not when only chance tells them apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from experiments.report.comparison import Comparison, Difference, compare
from experiments.report.run import read_played
from recserve.commands.compare import command
from tests.support.replay_runs import noisy_records, write_made_run

if TYPE_CHECKING:
    from pathlib import Path


def runs(
    tmp_path: Path, scales: tuple[float, float], prompts: int = 400, fingerprint: str = "f" * 32
) -> Comparison:
    played = []
    for seed, scale in enumerate(scales):
        folder = tmp_path / str(seed)
        records = noisy_records(prompts, scale=scale, seed=seed)
        own = fingerprint if seed else "f" * 32
        write_made_run(folder, records, length_s=float(prompts), fingerprint=own)
        played.append(read_played(folder))
    return compare(*played)


def figure(comparison: Comparison, name: str) -> Difference:
    return next(found for found in comparison.differences if found.figure == name)


def test_a_run_that_is_twice_as_slow_differs(tmp_path: Path) -> None:
    median = figure(runs(tmp_path, (1.0, 2.0)), "latency p50, ms")

    assert median.exceeds_noise
    assert median.difference is not None
    assert median.first is not None
    assert median.difference == pytest.approx(median.first, rel=0.3)


def test_runs_that_only_chance_tells_apart_do_not_differ(tmp_path: Path) -> None:
    comparison = runs(tmp_path, (1.0, 1.0))

    median = figure(comparison, "latency p50, ms")
    assert median.exceeds_noise is False
    assert median.low is not None
    assert median.high is not None
    assert median.low < 0 < median.high


def test_figures_that_are_equal_do_not_differ(tmp_path: Path) -> None:
    share = figure(runs(tmp_path, (1.0, 1.0)), "by edge, %")

    assert (share.first, share.second, share.difference) == (25.0, 25.0, 0.0)
    assert share.exceeds_noise is False


def test_about_one_figure_in_twenty_exceeds_noise_by_chance(tmp_path: Path) -> None:
    beyond = 0
    for attempt in range(25):
        played = []
        for side in (0, 1):
            records = noisy_records(200, scale=1.0, seed=100 * attempt + side)
            folder = tmp_path / f"{attempt}-{side}"
            write_made_run(folder, records, length_s=200.0, fingerprint=str(side) * 32)
            played.append(read_played(folder))
        comparison = compare(*played, draws=150)
        beyond += bool(figure(comparison, "latency p50, ms").exceeds_noise)

    assert beyond <= 5  # one or two of 25 are expected


def test_the_same_prompts_are_compared_in_pairs(tmp_path: Path) -> None:
    assert runs(tmp_path, (1.0, 1.0)).paired
    assert not runs(tmp_path / "other", (1.0, 1.0), fingerprint="e" * 32).paired


def test_too_short_runs_have_nothing_to_say(tmp_path: Path) -> None:
    median = figure(runs(tmp_path, (1.0, 5.0), prompts=30), "latency p50, ms")

    assert median.difference is not None
    assert median.exceeds_noise is None


def test_the_command_writes_a_table_json_and_a_page(tmp_path: Path) -> None:
    runs(tmp_path, (1.0, 2.0))

    ran = CliRunner().invoke(
        command, [str(tmp_path / "0"), str(tmp_path / "1"), "--out", str(tmp_path / "out")]
    )

    assert ran.exit_code == 0, ran.output
    assert "Side by side" in ran.output
    assert "latency p50, ms" in ran.output
    assert "yes" in ran.output
    figures = json.loads((tmp_path / "out" / "compare.json").read_text())["figures"]
    assert next(row for row in figures if row["figure"] == "latency p50, ms")["exceeds_noise"]
    page = (tmp_path / "out" / "compare.html").read_text()
    assert '<figure id="differences">' in page
    assert page.count("<svg ") == 3


def test_a_folder_that_holds_no_run_is_named(tmp_path: Path) -> None:
    ran = CliRunner().invoke(command, [str(tmp_path), str(tmp_path)])

    assert ran.exit_code == 2
    assert "run.json: cannot be read" in ran.output
