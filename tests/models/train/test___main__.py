"""The command, run whole on tiny data and a tiny base."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.train.__main__ import main
from models.train.data import REVIEW_SETS, SENTENCE_SETS
from models.train.folder import save
from tests.support.tiny_training import tiny_student

if TYPE_CHECKING:
    from pathlib import Path


def write_data(root: Path) -> Path:
    for name in (*SENTENCE_SETS, *REVIEW_SETS):
        (root / name).mkdir(parents=True)
        for part, first in (("train", f"good film of {name}"), ("dev", f"fine film of {name}")):
            with gzip.open(root / name / f"{part}.tsv.gz", "wt", encoding="utf-8") as file:
                file.write(f"text\tlabel\n{first}\t1\nbad film of {name} for {part}\t0\n")
    return root


def test_a_draft_is_trained_and_recorded(tmp_path: Path) -> None:
    data, base, out = write_data(tmp_path / "data"), tmp_path / "base", tmp_path / "out"
    save(tiny_student(positions=512), base, {})

    code = main(
        ["--data", str(data), "--base", str(base), "--out", str(out), "--steps", "draft", "pool"]
    )

    assert code == 0
    record = json.loads((out / "draft" / "training.json").read_text(encoding="utf-8"))
    assert record["seed"] == 59154
    assert record["data_rows"]["imdb/train.tsv.gz"] == 2
    assert record["dev_fp32"]["sst2"]["rows"] == 2
    assert (out / "pool.tsv.gz").is_file()


def test_without_data_the_flag_and_the_variable_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECSERVE_DATA", raising=False)

    assert main(["--out", str(tmp_path)]) == 2
    assert "--data or RECSERVE_DATA" in capsys.readouterr().err


def test_the_data_folder_may_come_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_DATA", str(write_data(tmp_path / "data")))

    assert main(["--out", str(tmp_path / "out"), "--steps", "pool"]) == 2
    assert "draft has no config.json" in capsys.readouterr().err


def test_a_step_without_its_input_says_which_step_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write_data(tmp_path / "data"), tmp_path / "out"
    save(tiny_student(), out / "cloud", {})

    assert main(["--data", str(data), "--out", str(out), "--steps", "edge"]) == 2
    assert "run the pool step first" in capsys.readouterr().err
