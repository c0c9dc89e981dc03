"""What no replay can be made of is named in one line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ROOT
from tests.support.replay_runs import made_record, write_made_run
from tests.support.replays import command, write_trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a file of settings, or at least --trace"),
        (("--trace", "none.jsonl"), "none.jsonl"),
        (("--trace", "t", "--broker", "here"), "not of the form host:port"),
        (("--resume", "runs/none"), "run.json: cannot be read"),
        (("--resume", "runs/none", "--speed", "3"), "give it no other option"),
        (("--trace", "t", "--speed", "0"), "part.speed"),
    ],
)
def test_a_mistake_is_named_in_one_line(words: Sequence[str], said: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        command(*words, *(() if "--resume" in words else ("--out", str(tmp_path / "out")))),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 2
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_run_cannot_go_on_with_another_trace(tmp_path: Path) -> None:
    trace, out = write_trace(tmp_path, 20, per_s=10), tmp_path / "run"
    settings = {"trace": {"file": str(trace)}, "mqtt": {}, "fleet": {"ask": ["device-1"]}}
    write_made_run(out, [made_record(0)], settings=settings, state="interrupted", prompts=20)

    ran = subprocess.run(
        command("--resume", str(out)),
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ran.returncode == 2
    assert "is not what it was when the run began" in ran.stderr
