"""A soak says who grows, and a very short one runs with everything real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos.soak import Grown, Soaked, page
from tests.support.processes import skip_without

ROOT = Path(__file__).parents[2]
LEVEL = Grown("edge-1", 80.0, 90.0, 90.5, 0.05)
GROWS = Grown("cloud-1", 80.0, 90.0, 99.0, 0.9)


def test_it_is_kept_when_nobody_grows_and_nothing_was_lost() -> None:
    assert Soaked(30, 99_000, 9_000, [LEVEL], []).says().endswith("10 minutes: kept.")
    assert not Soaked(30, 99_000, 9_000, [LEVEL, GROWS], []).says().endswith("kept.")
    assert not Soaked(30, 99_000, 9_000, [LEVEL], ["q1: no answer"]).says().endswith("kept.")


def test_the_page_tells_each_process_and_what_was_sent() -> None:
    text = page(Soaked(30, 99_000, 9_000, [LEVEL, GROWS], []))
    assert "| edge-1 | 80.0 | 90.0 | 90.5 | +0.050 | yes |" in text
    assert "| cloud-1 | 80.0 | 90.0 | 99.0 | +0.900 | NO |" in text
    assert "- prompts of 10,000 origins in turn: 20 a second" in text


@pytest.mark.slow
def test_everything_is_borne_and_every_question_answered(tmp_path: Path) -> None:
    skip_without("mosquitto")
    out = tmp_path / "soak"
    ran = subprocess.run(
        [sys.executable, "-m", "chaos.soak", "--minutes", "0.1", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "30 questions" in ran.stdout.replace("\n", " "), ran.stdout + ran.stderr
    assert " 0 promises broken" in ran.stdout.replace("\n", " ") or "kept." in ran.stdout
    held = msgspec.json.decode((out / "memory.json").read_bytes())
    assert set(held) == {"broker", "cloud-1", "edge-1", "device-1"}
    assert all(readings for readings in held.values())
