"""A small study: active inference is ahead, and the report says what was found."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from scipy import stats

from cloud_agent.center.placement.planner import PlacementSettings
from cloud_agent.center.placement.preferences import Weighted
from experiments.placement.acceptance import checks
from experiments.placement.paired import compare, student_975
from experiments.placement.study import BASELINES, OURS, POLICIES, PlannedEpisode, play
from experiments.placement.trap import finders, share_by_arithmetic
from experiments.placement.world import WorldSettings
from experiments.results.placement import main as write_page
from recserve.cli import main

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = range(500, 503)


@cache
def utilities(policy: str, rate: float) -> list[float]:
    world = WorldSettings(rounds=200, rate=rate)
    return [
        play(
            PlannedEpisode(
                "", policy, POLICIES[policy], world, Weighted(), PlacementSettings(), seed
            )
        ).utility
        for seed in SEEDS
    ]


@pytest.mark.parametrize("rate", [2.0, 6.0])
def test_active_inference_is_ahead_of_every_baseline(rate: float) -> None:
    ours = utilities(OURS, rate)
    for baseline in BASELINES:
        paired = compare(ours, utilities(baseline, rate))
        assert paired.mean > 0.03, baseline
        assert paired.wins >= 2, baseline


def test_it_comes_near_the_oracle_and_a_network_that_learns_online_does_not() -> None:
    ours, oracle, greedy, dqn = (
        sum(utilities(name, 6.0)) for name in (OURS, "oracle", "greedy", "dqn")
    )
    assert (ours - greedy) / (oracle - greedy) > 0.4
    assert ours - dqn > 0.05 * len(SEEDS)


def test_who_gives_nothing_for_information_stays_in_the_trap() -> None:
    assert sum(finders(1.0, range(100, 140))) >= 36


def test_the_trap_holds_as_many_as_the_sums_alone_say() -> None:
    share = share_by_arithmetic()
    assert 0.25 < share < 0.4
    found = finders(0.0, range(100, 260))
    noise = math.sqrt(share * (1 - share) / len(found))
    assert sum(found) / len(found) == pytest.approx(share, abs=3 * noise)


@pytest.mark.parametrize("freedom", [3, 5, 11, 23, 100])
def test_the_point_of_students_t_is_that_of_scipy(freedom: int) -> None:
    assert student_975(freedom) == pytest.approx(float(stats.t.ppf(0.975, freedom)), rel=0.01)


def test_a_comparison_is_paired() -> None:
    paired = compare([1.0, 2.0, 3.0], [0.5, 1.6, 2.4])
    assert paired.mean == pytest.approx(0.5)
    assert paired.wins == paired.worlds == 3
    assert paired.interval.low < 0.5 < paired.interval.high
    assert compare([1.0], [0.0]).interval.high == math.inf


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("placement")
    arguments = ["--out", str(out), "--seeds", "2", "--rate", "4", "--rounds", "160"]
    result = CliRunner().invoke(
        main, ["simulate", "placement", *arguments, "--processes", "1", "--episodes", "2"]
    )
    assert result.exit_code == 0, result.output
    return out, result.output


def test_the_command_writes_what_every_policy_came_to(simulated: tuple[Path, str]) -> None:
    out, printed = simulated
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    found = report["rates"]["4"]
    assert set(found["policies"]) == set(POLICIES)
    for figures in found["policies"].values():
        assert {"utility", "wins_of_active_inference", "interval", "misses"} <= set(figures)
    assert {"gap_closed", "misses"} <= set(found)
    for policy in POLICIES:
        assert policy in printed
    for telling in ("0", "1"):
        learners = report["features"][telling]
        for learner in ("linucb", "dqn"):
            gained = learners[learner]["difference"]
            assert gained["interval"][0] <= gained["mean"] <= gained["interval"][1]
            assert f"looking at it is worth {gained['mean']:+.3f}" in printed.replace("\n", " ")
    assert any(check.reached for check in checks(report))


def test_the_command_draws_what_it_found(simulated: tuple[Path, str]) -> None:
    out, _ = simulated
    for name in ("utility", "pairs", "course", "trap"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (out / f"{name}.svg").read_bytes()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    result = CliRunner().invoke(
        main, ["simulate", "placement", "--out", str(tmp_path / "taken" / "under")]
    )
    assert result.exit_code == 2
    assert "cannot be made" in result.output


def test_the_page_says_what_the_report_found(simulated: tuple[Path, str], tmp_path: Path) -> None:
    out, _ = simulated
    result = CliRunner().invoke(write_page, [str(out), "--out", str(tmp_path / "placement.md")])
    assert result.exit_code in {0, 1}, result.output
    text = (tmp_path / "placement.md").read_text(encoding="utf-8")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    ours = report["rates"]["4"]["policies"]["active-inference"]["utility"]
    assert f"| active-inference | {ours:.3f} |" in text
    gained = report["features"]["1"]["linucb"]["difference"]["mean"]
    assert "| linucb | hardness | " in text
    assert f"{gained:+.3f} [" in text
    for name in ("utility", "pairs", "course", "trap"):
        assert f"](placement/{name}.png)" in text
        assert (tmp_path / "placement" / f"{name}.png").exists()


def test_a_page_without_a_study_says_how_to_make_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(write_page, [str(tmp_path), "--out", str(tmp_path / "p.md")])
    assert result.exit_code == 2
    assert "recserve simulate placement --out" in result.output
