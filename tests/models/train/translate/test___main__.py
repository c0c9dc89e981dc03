"""The command, run whole on a dozen captions."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sacrebleu")

from models.train.translate import recipe
from models.train.translate.__main__ import main
from models.train.translate.captions import read_captions
from models.train.translate.decode import translate
from models.train.translate.net import Shape, load
from tests.support.tiny_captions import CAPTIONS, write_captions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, known in recipe.RECIPES.items():
        schedule = replace(
            known.schedule,
            epochs=10 if known.from_cloud else 20,
            tokens_per_batch=300,
            peak_learning_rate=2e-2,
            dropout=0.0,
        )
        small = replace(known, shape=Shape(32, 2, 64, 2), schedule=schedule)
        monkeypatch.setitem(recipe.RECIPES, name, small)
    return write_captions(tmp_path / "data")


def test_three_translators_are_trained_and_two_of_them_from_the_first(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--data", str(data), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for name in ("cloud", "edge", "device"):
        assert f"{name}: BLEU 100.0 and chrF 100.0 on 12 dev rows" in said
        assert translate(load(out / name), ["A boy runs."], "test") == ["Ein Junge rennt."]
    distilled = read_captions(out / "distilled.tsv.gz")
    assert {(pair.source, pair.target) for pair in distilled} == set(CAPTIONS)

    record = json.loads((out / "edge" / "training.json").read_text())
    assert (record["data_rows"], record["distilled_rows"]) == (
        {"multi30k_en_de/train.tsv.gz": 120},
        120,
    )
    assert (out / "edge" / "chat_template.jinja").read_text().endswith("<de>")


def test_a_step_without_the_one_before_it_says_so(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(data), "--out", str(tmp_path), "--steps", "edge"]) == 2
    assert "run the step that makes it first" in capsys.readouterr().err


def test_data_that_are_not_there_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "train.tsv.gz does not exist" in capsys.readouterr().err
