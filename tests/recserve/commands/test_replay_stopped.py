"""Replays that are stopped, and go on."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from tests.support.processes import ROOT, skip_without
from tests.support.replays import ReplayRun, command, finished, replay, write_trace


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> ReplayRun:
    """Run a long replay and press Ctrl-C once it is under way."""
    skip_without("mosquitto")
    folder = tmp_path_factory.mktemp("stopped")
    trace = write_trace(folder, 300, per_s=30)
    out = folder / "run"
    process = subprocess.Popen(
        command("--trace", str(trace), "--devices", "4", "--out", str(out)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline_s = time.monotonic() + 60
    records = out / "records.jsonl"
    while not (records.exists() and records.read_bytes().count(b"\n") > 40):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    return finished(out, process.returncode, printed)


def test_ctrl_c_ends_cleanly_with_a_report_of_what_was_done(stopped: ReplayRun) -> None:
    prompts = stopped.report["prompts"]

    assert stopped.code == 130
    assert "Traceback" not in stopped.printed
    assert stopped.report["run"]["state"] == "interrupted"
    assert 40 < prompts["answered"] < 300
    assert prompts["answered"] + prompts["unfinished"] + prompts["not_sent"] == 300
    assert "were not sent" in stopped.printed
    assert (stopped.folder / "report.html").exists()


def test_a_stopped_run_goes_on_where_it_stopped(stopped: ReplayRun) -> None:
    resumed = replay(stopped.folder, "--resume", str(stopped.folder))

    assert resumed.code == 0, resumed.printed
    assert [record.number for record in resumed.records] == list(range(300))
    assert resumed.records[:20] == stopped.records[:20]
    assert resumed.report["run"]["state"] == "whole"
    assert resumed.report["run"]["resumed"] == 1
    assert resumed.report["prompts"]["answered"] == 300
    assert len((stopped.folder / "records.jsonl").read_bytes().splitlines()) == 300
    assert max(record.lateness_s for record in resumed.records) < 1.0

    again = replay(stopped.folder, "--resume", str(stopped.folder))
    assert again.code == 2
    assert "this run is whole" in again.printed
