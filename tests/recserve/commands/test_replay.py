"""Real replays as a person runs them: a real broker, real agents, the committed models."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from experiments.evaluation.tier_models import TierModel
from experiments.replay.to_matrix import matrix_from_records
from experiments.testbed.processes import free_port
from shared.runtimes import ModelSettings
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from tests.support.processes import ROOT, skip_without
from tests.support.replays import ReplayRun, command, replay, write_trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.installations import Installation

TIERS = ("device", "edge", "cloud")


@pytest.fixture(scope="module", autouse=True)
def mosquitto_is_here() -> None:
    skip_without("mosquitto")


@contextmanager
def slow_device(name: str, port: int, *, prompt_s: float) -> Iterator[None]:
    """Run a device whose model takes ``prompt_s`` seconds longer for every prompt."""
    settings = [f"agent={name}", f"mqtt.port={port}"]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "chaos.launcher", "device", "--slow-s", str(prompt_s), "--"),
            *("--config", "configs/device.yaml"),
            *(word for setting in settings for word in ("--set", setting)),
        ],
        cwd=ROOT,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ReplayRun:
    folder = tmp_path_factory.mktemp("replay")
    trace = write_trace(folder, 240, per_s=4)
    out = folder / "run"
    return replay(
        out,
        *("--trace", str(trace), "--speed", "10", "--devices", "6"),
        *("--keep-text", "--name", "small", "--out", str(out)),
    )


def test_every_prompt_of_the_trace_gets_its_answer(run: ReplayRun) -> None:
    assert run.code == 0, run.printed
    assert [record.number for record in run.records] == list(range(240))
    assert run.report["prompts"]["answered"] == 240
    assert run.report["prompts"]["lost"] == 0
    assert {record.device for record in run.records} == {f"virtual-{n}" for n in range(1, 7)}


def test_prompts_go_out_when_the_trace_says(run: ReplayRun) -> None:
    assert run.records[-1].at_s == pytest.approx(240 / 4 / 10, rel=0.3)
    assert min(record.lateness_s for record in run.records) > -0.002
    assert run.report["arrivals"]["achieved_share"] == pytest.approx(1, abs=0.02)


def test_every_decision_is_explained(run: ReplayRun) -> None:
    for record in run.records:
        for hop in record.hops[:-1]:
            assert hop.confidence < hop.threshold
        assert record.hops[0].agent == record.device
        assert record.tier == TIERS[len(record.hops) - 1]
        assert record.given in {Label("positive"), Label("negative")}
    assert {record.tier for record in run.records} == set(TIERS)


def test_the_bytes_in_the_records_are_those_that_the_agents_counted(run: ReplayRun) -> None:
    burden = run.report["burden"]

    repeats = sum(agent["repeats"] for agent in run.report["agents"].values())
    more = {
        link: counted - burden["trouble_free_bytes"][link]
        for link, counted in burden["counted_bytes"].items()
    }
    assert min(more.values()) >= 0
    assert repeats or not any(more.values()), "only what was repeated is counted besides"
    assert 0 < burden["counted_bytes"]["edge-cloud"] < burden["counted_bytes"]["device-edge"]


def test_batches_and_waits_of_every_agent_are_in_the_report(run: ReplayRun) -> None:
    agents = run.report["agents"]

    assert set(agents) == {"edge-1", "cloud-1", "virtual devices"}
    assert agents["virtual devices"]["batches"] == 240
    assert agents["edge-1"]["queue_ms_mean"] > 0


def test_the_page_and_the_tables_are_there(run: ReplayRun) -> None:
    assert "Who answered" in run.printed
    assert "240 of 240 prompts answered, 0 lost" in run.printed.replace("\n", " ")
    page = (run.folder / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>small: replay of trace-240.jsonl, 20" in page


def test_the_run_fills_the_answer_matrix(run: ReplayRun) -> None:
    bundles = ROOT / "models" / "bundles"
    tiers = [
        TierModel(tier=tier, model=ModelSettings(source=str(bundles / f"sentiment-{tier}")))
        for tier in TIERS
    ]

    matrix = matrix_from_records(run.folder, tiers)

    assert matrix.data.texts == tuple(record.text for record in run.records)
    moved = []
    for row, record in enumerate(run.records):
        hops = list(zip(matrix.tiers, record.hops, strict=False))
        moved += [abs(tier.routing[row] - hop.confidence) for tier, hop in hops]
        told = matrix.data.label_names[matrix.tiers[len(record.hops) - 1].labels[row]]
        assert record.given == Label(told) or record.hops[-1].confidence < 0.6
    # A model that ran a prompt alone says the same again; the probabilities of int8 weights move
    # with what else was in the batch.
    assert sum(difference < 1e-6 for difference in moved) > 0.7 * len(moved)
    assert max(moved) < 0.15


def test_a_closed_loop_keeps_a_number_under_way(tmp_path: Path) -> None:
    trace = write_trace(tmp_path, 200, per_s=0.001)  # a day at its own pace
    out = tmp_path / "run"

    ran = replay(
        out, "--trace", str(trace), "--in-flight", "8", "--devices", "4", "--out", str(out)
    )

    assert ran.code == 0, ran.printed
    assert ran.report["prompts"]["answered"] == 200
    times = sorted([(r.sent_s, 1) for r in ran.records] + [(r.done_s, -1) for r in ran.records])
    under_way = most = 0
    for _, change in times:
        under_way += change
        most = max(most, under_way)
    assert most == 8
    assert "closed loop with 8 under way" in ran.printed


def test_running_devices_can_be_asked(tmp_path: Path, installation: Installation) -> None:
    trace = write_trace(tmp_path, 40, per_s=20)
    out = tmp_path / "run"
    names = "device-1"

    ran = replay(
        out,
        *("--trace", str(trace), "--broker", f"127.0.0.1:{installation.port}"),
        *("--ask", names, "--out", str(out)),
    )

    assert ran.code == 0, ran.printed
    assert ran.report["prompts"]["answered"] == 40
    assert ran.report["prompts"]["answered_twice"] == 0
    assert {record.hops[0].agent for record in ran.records} == {"device-1"}


def test_virtual_devices_can_join_a_running_broker(
    tmp_path: Path, installation: Installation
) -> None:
    trace = write_trace(tmp_path, 40, per_s=20)
    out = tmp_path / "run"

    ran = replay(
        out,
        *("--trace", str(trace), "--broker", f"127.0.0.1:{installation.port}"),
        *("--device-config", "configs/device.yaml", "--devices", "3", "--out", str(out)),
    )

    assert ran.code == 0, ran.printed
    assert {record.device for record in ran.records} == {"virtual-1", "virtual-2", "virtual-3"}


def test_a_run_that_asks_for_more_than_its_device_can_do_says_so(
    tmp_path: Path, installation: Installation
) -> None:
    trace = write_trace(tmp_path, 150, per_s=30)
    out = tmp_path / "run"

    with slow_device("slow-1", installation.port, prompt_s=0.1):
        ran = replay(
            out,
            *("--trace", str(trace), "--broker", f"127.0.0.1:{installation.port}"),
            *("--ask", "slow-1", "--out", str(out)),
        )

    assert ran.report["prompts"]["sent"] == 150
    assert ran.report["prompts"]["lost"] == 0
    assert ran.report["saturation"]
    assert "Saturated from second" in ran.printed.replace("\n", " ")
    assert "Saturated from second" in (out / "report.html").read_text()


def test_a_run_that_never_connected_leaves_its_folder_to_the_next(
    tmp_path: Path, installation: Installation
) -> None:
    trace, out = write_trace(tmp_path, 20, per_s=100), tmp_path / "new" / "run"
    words = ["--trace", str(trace), "--ask", "device-1", "--out", str(out), "--broker"]
    nowhere = f"127.0.0.1:{free_port()}"
    first = subprocess.run(
        command(*words, nowhere), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert first.returncode == 2
    assert f"no broker at {nowhere}" in first.stderr
    assert not out.exists()

    second = replay(out, *words, f"127.0.0.1:{installation.port}")

    assert second.code == 0, second.printed
    assert second.report["prompts"]["answered"] == 20


def test_captions_are_translated_and_their_tokens_counted(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_genai")
    out = tmp_path / "run"

    ran = replay(
        out,
        "configs/replay/captions.yaml",
        *("--trace", "poisson:rate=8,span=3", "--devices", "2", "--out", str(out)),
    )

    assert ran.code == 0, ran.printed
    given = [record.given for record in ran.records]
    written = [answer for answer in given if isinstance(answer, Completion) and answer.text]
    assert len(written) == len(given) == ran.report["prompts"]["planned"]
    texts = ran.report["texts"]
    assert texts["prompts"] == len(written)
    assert texts["tokens_written"] == sum(answer.tokens_out for answer in written)
    assert texts["chrf"] > 40, "captions of other pictures reach half of that"
    agents = ran.report["agents"].values()
    every = sum(agent["tokens_written"] for agent in agents)
    assert every >= texts["tokens_written"], "what was sent on was written, too"
