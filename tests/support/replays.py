"""Replays as a person runs them, as processes of their own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.datasets.bundled import read_prompts
from experiments.replay.records import Record, read_records
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path


class ReplayRun(NamedTuple):
    folder: Path
    code: int
    printed: str
    report: dict[str, Any]
    records: list[Record]


def write_trace(folder: Path, prompts: int, *, per_s: float, seed: int = 0) -> Path:
    draw = random.Random(seed)
    known = read_prompts()
    path, at_s = folder / f"trace-{prompts}.jsonl", 0.0
    with path.open("w") as file:
        for _ in range(prompts):
            prompt = draw.choice(known)
            row = {"at_s": round(at_s, 4), "text": prompt.text, "label": prompt.label}
            file.write(json.dumps(row) + "\n")
            at_s += draw.expovariate(per_s)
    return path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "recserve", "replay", *words]


def replay(folder: Path, *words: str) -> ReplayRun:
    """Run a replay to its end."""
    ran = subprocess.run(
        command(*words), cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    return finished(folder, ran.returncode, ran.stdout + ran.stderr)


def finished(folder: Path, code: int, printed: str) -> ReplayRun:
    assert (folder / "report.json").exists(), printed
    report = json.loads((folder / "report.json").read_text())
    return ReplayRun(folder, code, printed, report, read_records(folder))
