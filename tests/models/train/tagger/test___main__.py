"""The command, run whole on tiny data and a tiny base."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.train.folder import save
from models.train.student import Student
from models.train.tagger import recipe
from models.train.tagger.__main__ import FOLDER, main
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Request
from shared.tasks.tag import Entities
from tests.support.tiny_training import tiny_student

if TYPE_CHECKING:
    from pathlib import Path

SENTENCES = """good O
Film I-PER
bad O

dull O
film O

Bad I-LOC
film O

"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / FOLDER
    folder.mkdir(parents=True)
    for part, repeats in (("train", 30), ("dev", 2)):
        (folder / f"{part}.conll.gz").write_bytes(gzip.compress((SENTENCES * repeats).encode()))
    return folder.parent


def test_two_taggers_are_trained_that_tell_words_by_how_they_are_written(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    classifier = tiny_student(positions=512)
    save(Student(classifier.model.bert, classifier.tokenizer), base, {})
    fast = replace(recipe.EDGE.schedule, epochs=12, rows_per_batch=8, peak_learning_rate=2e-2)
    monkeypatch.setattr(recipe, "EDGE", replace(recipe.EDGE, schedule=fast, dropout=0.0))
    small = replace(recipe.DEVICE, schedule=fast, dropout=0.0, layers=(1,), tokens=64)
    monkeypatch.setattr(recipe, "DEVICE", replace(small, characters_below=0x7F))

    assert main(["--data", str(data), "--base", str(base), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "edge: F1 1.0000 on 6 dev sentences" in said
    assert "device: F1 1.0000 on 6 dev sentences" in said

    record = json.loads((out / "device" / "training.json").read_text())
    assert record["data_rows"] == {f"{FOLDER}/train.conll.gz": 90}
    model = load_model(ModelSettings(source=str(out / "device"), runtime="transformers"))
    (entry,) = model.answer([Request("tag", "good Film bad, dull film")])
    assert isinstance(entry, Scored)
    assert isinstance(entry.answer, Entities)
    assert [span.place for span in entry.answer.spans] == [("PER", 5, 9)]


def test_data_that_are_not_there_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FOLDER).mkdir()
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "train.conll.gz" in capsys.readouterr().err


def test_a_device_needs_the_edge_before_it(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(data), "--out", str(tmp_path), "--steps", "device"]) == 2
    assert "run the step that makes it first" in capsys.readouterr().err
