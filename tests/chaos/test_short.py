"""The short form of ``make chaos``: what is most likely to happen, with everything real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos.scenarios import SHORT
from tests.support.processes import skip_without

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(420)
def test_whatever_dies_every_prompt_ends_in_exactly_one_result(tmp_path: Path) -> None:
    skip_without("mosquitto")

    ran = subprocess.run(
        [sys.executable, "-m", "chaos", "--short", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-2_000:]
    outcomes = msgspec.json.decode((tmp_path / "out" / "report.json").read_bytes())
    assert [outcome["name"] for outcome in outcomes] == list(SHORT)
    for outcome in outcomes:
        assert sum(outcome["answered"].values()) == outcome["asked"]
        assert outcome["answered"].get("edge", 0) > 10, "prompts went up"
        assert outcome["broken"] == []
    assert sum(outcome["asked"] for outcome in outcomes) > 2_000


def test_a_scenario_that_does_not_exist_is_refused_with_those_that_do() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "chaos", "--only", "meteor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert "meteor" in ran.stderr
    assert "kill-device" in ran.stderr
