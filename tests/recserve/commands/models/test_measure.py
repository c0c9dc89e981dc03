"""``recserve models measure``: a real bundle, and a file for whoever plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner

from cloud_agent.center.catalogue.file import read_catalogue
from experiments.profiling.bundle_times import read_times
from recserve.cli import main
from shared.errors import DataError
from shared.runtimes.bundle import Bundle
from tests.support.job_rounds import REMARKS, write_jobs
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

DEVICE = ROOT / "models" / "bundles" / "sentiment-device"


def measure(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", "measure", "--rounds", "1", *arguments])


def labelled(folder: Path) -> Path:
    path = folder / "remarks.tsv"
    rows = ["a splendid bearing, very quiet\tpositive", "it broke on the first day\tnegative"]
    path.write_text("\n".join(["text\tlabel", *rows * 4, ""]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    out = folder / "catalogue.json"
    result = measure(
        str(DEVICE), "--node-class", "box", "--out", str(out),
        "--set", f"label={labelled(folder)}", "--pictures", str(folder),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "sentiment-device" in result.output
    return out


def test_size_time_memory_and_grade_of_a_bundle_are_measured(measured: Path) -> None:
    [model] = read_catalogue(measured).models
    bundle = Bundle.open(DEVICE)
    assert (model.digest, model.size_bytes) == (bundle.digest, bundle.size_bytes)
    on = model.on["box"]
    assert 0 < on.prompt_s < on.load_s
    assert on.memory_bytes > bundle.size_bytes
    assert model.grades["label"].rows == 8
    assert model.grades["label"].source == "remarks.tsv"
    assert 0.5 <= model.grades["label"].grade <= 1.0


def test_a_plan_reads_the_times_of_models_from_the_same_file(measured: Path) -> None:
    times = read_times(measured, "")
    assert times["sentiment-device"].run_us + times["sentiment-device"].prompt_us > 0
    assert read_times(measured, "box") == times
    with pytest.raises(DataError, match="has the node classes box"):
        read_times(measured, "jetson")


def test_answers_are_graded_on_jobs_as_the_centre_grades_them(tmp_path: Path) -> None:
    out = tmp_path / "catalogue.json"
    result = measure(str(DEVICE), "--out", str(out), "--jobs", str(write_jobs(tmp_path / "jobs")))
    assert result.exit_code == 0, result.output
    [model] = read_catalogue(out).models
    assert model.grades["label"].rows == len(REMARKS)
    assert model.grades["label"].grade >= 0.75


def test_a_model_that_writes_has_a_time_for_each_token(tmp_path: Path, generator: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    job = {"kind": "question", "text": "who?", "references": ["Ada"]}
    jobs.write_bytes(msgspec.json.encode(job) + b"\n")
    out = tmp_path / "catalogue.json"
    result = measure(str(generator), "--out", str(out), "--jobs", str(jobs))
    assert result.exit_code == 0, result.output
    [model] = read_catalogue(out).models
    [on] = model.on.values()
    assert on.token_s is not None
    assert 0 < on.token_s < on.load_s
    assert model.grades["question"].rows == 1
    assert read_times(out, "") == {}


def test_it_is_drawn(measured: Path) -> None:
    assert (measured.parent / "catalogue.png").read_bytes().startswith(b"\x89PNG")


def test_a_set_that_is_wrong_is_named_before_anything_is_measured(tmp_path: Path) -> None:
    result = measure(str(DEVICE), "--out", str(tmp_path / "c.json"), "--set", "label=nowhere.tsv")
    assert result.exit_code == 2
    assert "nowhere.tsv" in result.output
    assert not (tmp_path / "c.json").exists()


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    result = measure(str(tmp_path / "none"), "--out", str(tmp_path / "c.json"))
    assert result.exit_code == 2
    assert "no such bundle folder" in result.output
