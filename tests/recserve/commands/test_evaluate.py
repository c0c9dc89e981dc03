"""``recserve evaluate`` as a person types it: the committed bundles over sets in files."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest

from experiments.evaluation.study import Study
from shared.cascade.policies import PolicySettings
from shared.settings.file import load
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BUNDLES = ROOT / "models" / "bundles"
STUDIES = sorted((ROOT / "configs" / "experiments").glob("*.yaml"))
ROWS = [
    ("a lovely film from start to end", "1"),
    ("a dull film and far too long", "0"),
    ("the soup was cold and the waiter rude", "0"),
    ("works well and was cheap", "1"),
    ("i have seen worse", "1"),
    ("not what i hoped for", "0"),
]
TIERS = [f"--tier={tier}={BUNDLES / f'sentiment-{tier}'}" for tier in ("device", "edge", "cloud")]


def evaluate(folder: Path, *words: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    places = ["--cache", str(folder / "answers"), "--out", str(folder / "out")]
    return subprocess.run(
        [sys.executable, "-m", "recserve", "evaluate", *words, *places],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def write_set(path: Path, rows: list[tuple[str, str]], head: str = "text\tlabel") -> Path:
    lines = [head, *("\t".join(row) for row in rows)]
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    return path


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return write_set(tmp_path / "films.tsv.gz", ROWS * 4)


def test_a_comparison_leaves_a_table_json_csv_and_pictures(films: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    policies = ["--policy=quantile beta=0.3,0.6", "--policy=pass", "--policy=random share=0.5"]

    ran = evaluate(tmp_path, f"--set=films={films}", *TIERS, *policies)

    assert ran.returncode == 0, ran.stderr
    assert "films" in ran.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [card["tier"] for card in report["cards"]] == ["device", "edge", "cloud"]
    with (tmp_path / "out" / "runs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["policy"] for row in rows] == ["quantile", "quantile", "pass", "random"]
    assert [row["beta"] for row in rows[:2]] == ["0.3", "0.6"]
    for row in rows:
        assert 0 <= float(row["accuracy_low"]) <= float(row["accuracy"])
        assert float(row["accuracy"]) <= float(row["accuracy_high"]) <= 1
        assert float(row["sent_bytes"]) >= float(row["text_bytes"]) >= 0
    everything_up = rows[2]
    assert float(everything_up["share_cloud"]) == 1
    assert float(everything_up["agreement"]) == 1
    assert float(everything_up["hops"]) == 2
    pictures = {path.suffix for path in (tmp_path / "out").iterdir() if "films-" in path.name}
    assert pictures == {".png", ".svg"}


VALUES = {
    "beta": "0.1,1e-1",
    "window_prompts": "100,1e3",
    "ties": "keep,draw",
    "prior_prompts": "0,20",
    "threshold": "0.6,1",
    "share": "0,0.5",
    "up": "1,2",
    "budget_bytes": "1000,5e4",
    "period_s": "60,3600.5",
    "overhead_bytes": "0,200",
    "tolerance": "0.05,0.2",
    "audit": "0.05,1",
    "certainty": "0.5,0.95",
    "worth": "10,20",
    "costs": "1:11,2:20.5,3:",
    "onward": "0,10",
    "learn": "false,true",
    "explore": "0.01,0.1",
    "calls": "0,50",
}
"""Values to try for each key that some policy has."""


def every_key() -> list[str]:
    """Return a policy for each key of each kind, with what the kind cannot do without."""
    found = []
    for kind in get_args(PolicySettings):
        info = msgspec.inspect.type_info(kind)
        assert isinstance(info, msgspec.inspect.StructType)
        for field in info.fields:
            needed = [f"{f.name}={VALUES[f.name]}" for f in info.fields if f.required]
            own = [] if field.required else [f"{field.name}={VALUES[field.name]}"]
            found.append(" ".join([str(info.tag), *needed, *own]))
    return found


def test_every_key_of_every_policy_can_be_tried(films: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    ran = evaluate(
        tmp_path, f"--set=films={films}", *TIERS, *(f"--policy={p}" for p in every_key())
    )

    assert ran.returncode == 0, ran.stderr
    with (tmp_path / "out" / "runs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for key, values in VALUES.items():
        tried = {row[key] for row in rows if row[key]}
        assert {number(value) for value in tried} == {number(v) for v in values.split(",")}, key
    assert {path.suffix for path in (tmp_path / "out").iterdir() if "films-" in path.name} == {
        ".png",
        ".svg",
    }


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.lower()


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_no_figure_is_cut_on_a_small_terminal(films: Path, tmp_path: Path, columns: int) -> None:
    policies = ["--policy=quantile beta=0.1,0.3 ties=draw", "--policy=skip worth=10 costs=1:11"]

    ran = evaluate(tmp_path, f"--set=films={films}", *TIERS, *policies, columns=columns)

    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert all(len(line) <= columns for line in lines if str(tmp_path) not in line)
    words = ran.stdout.split()
    for heading in ("accuracy", "interval", "AUROC", "right", "agree", "weighted", "bytes", "hops"):
        assert heading in words
    for whole in ("costs=1:11", "ties=draw", "beta=0.1"):
        assert whole in words
    assert not [word for word in words if word != "…" and word.endswith("…")]


def test_a_second_run_asks_no_model_again(films: Path, tmp_path: Path) -> None:
    words = [f"--set=films={films}", *TIERS, "--policy=quantile beta=0.3"]
    first = evaluate(tmp_path, *words)
    assert first.returncode == 0, first.stderr
    kept = {path: path.read_bytes() for path in (tmp_path / "answers").iterdir()}

    second = evaluate(tmp_path, *words)

    assert second.returncode == 0, second.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "answers").iterdir()} == kept


def test_models_before_quantising_stand_beside_those_that_serve(
    films: Path, tmp_path: Path
) -> None:
    tiers = [
        {
            "tier": tier,
            "model": {"source": str(BUNDLES / f"sentiment-{tier}")},
            "before": {"source": str(BUNDLES / f"sentiment-{before}")},
        }
        for tier, before in (("device", "edge"), ("cloud", "cloud"))
    ]
    study = {
        "name": "two",
        "sets": [{"name": "films", "place": str(films)}],
        "tiers": tiers,
        "policies": [{"name": "all up", "tiers": [{"kind": "pass"}]}],
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))

    ran = evaluate(tmp_path, str(tmp_path / "study.yaml"))

    assert ran.returncode == 0, ran.stderr
    device, cloud = json.loads((tmp_path / "out" / "report.json").read_text())["cards"]
    assert device["calibration_error_before"] != device["calibration_error"]
    assert cloud["calibration_error_before"] == pytest.approx(cloud["calibration_error"])
    assert cloud["accuracy_before"] == cloud["accuracy"]


@pytest.mark.parametrize(
    ("rows", "head", "said"),
    [
        ([], "text\tlabel", "no rows"),
        ([("a film", "1"), ("a film", "7")], "text\tlabel", "row 3"),
        ([("a film", "1"), ("a film", "")], "text\tlabel", "row 3"),
        ([("a film", "1")], "text\tmood", "label"),
    ],
    ids=["empty", "unknown label", "unlabelled", "missing column"],
)
def test_a_bad_set_is_named_with_file_and_row_before_any_model_runs(
    tmp_path: Path, rows: list[tuple[str, str]], head: str, said: str
) -> None:
    path = write_set(tmp_path / "bad.tsv.gz", rows, head)

    ran = evaluate(tmp_path, f"--set={path}", *TIERS, "--policy=pass")

    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    assert str(path) in ran.stderr
    assert said in ran.stderr
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a study's file"),
        (["--tier=device"], "name a study's file"),
        (["--set=x.tsv", "--tier=device", "--policy=pass"], "'device' is not of the form"),
        (["--set=x.tsv", *TIERS, "--policy=quantile 0.3"], "'0.3' is not of the form key=value"),
        (["--set=x.tsv", *TIERS, "--policy=quantil beta=0.3"], "quantil"),
        (["--set=x.tsv", *TIERS, "--policy=quantile ties=maybe"], "'maybe'"),
        (["--set=x.tsv", *TIERS, "--policy=quantile beta="], "beta"),
        (["--set=x.tsv", *TIERS, "--policy=skip costs=1,11"], "costs=1:11 here"),
        (["--set=x.tsv", *TIERS, "--policy=skip costs=[1,11]"], "costs=1:11 here"),
        (["--set=x.tsv", *TIERS, "--policy=skip costs=1:b"], "costs"),
        (["--set=x.tsv", *TIERS, "--policy=pass"], "x.tsv"),
    ],
)
def test_bad_flags_are_one_clear_line(tmp_path: Path, words: list[str], said: str) -> None:
    ran = evaluate(tmp_path, *words)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    assert said in ran.stderr


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_every_committed_study_is_one(path: Path) -> None:
    assert load(Study, path).name == path.stem


@pytest.mark.parametrize(
    ("study", "model", "sets"),
    [
        ("paper-tiers", "hub/distilroberta", ("sst2/dev", "rotten_tomatoes/test")),
        ("translate-hub", "hub/t5-small", ("wmt21_en_de/test", "wmt22_en_de/test")),
    ],
)
def test_a_model_of_the_hub_that_is_not_here_is_named_with_what_to_do(
    study: str, model: str, sets: tuple[str, ...], tmp_path: Path
) -> None:
    head = "source\ttarget" if study == "translate-hub" else "text\tlabel"
    for place in sets:
        (tmp_path / place).parent.mkdir()
        write_set(tmp_path / f"{place}.tsv.gz", ROWS, head)

    ran = evaluate(tmp_path, f"configs/experiments/{study}.yaml", "--data", str(tmp_path))

    assert ran.returncode == 2, ran.stdout
    said = " ".join((ran.stdout + ran.stderr).split())
    assert model in said
    assert "download a model of the hub into a folder and name that" in said
    assert "Traceback" not in said
