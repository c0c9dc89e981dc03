"""The demo as a new user runs it: real processes, a real broker, the committed models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.datasets.bundled import read_prompts
from shared.errors import DataError

ROOT = Path(__file__).parents[2]
HAS_MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            "mosquitto",
            marks=pytest.mark.skipif(not HAS_MOSQUITTO, reason="Mosquitto is not installed"),
        ),
        "embedded",
    ],
)
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], str]:
    """Run the demo over one broker; return its report and what it printed."""
    out = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        [sys.executable, "-m", "recserve", "demo", "--out", str(out), "--broker", request.param],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report, ran.stdout


def test_every_prompt_gets_exactly_one_result(demo: tuple[dict[str, Any], str]) -> None:
    report, _ = demo

    assert report["prompts"] == len(read_prompts()) >= 600
    assert report["results"] == report["prompts"]
    assert report["duplicates"] == report["errors"] == 0


def test_easy_prompts_stay_and_hard_ones_climb(demo: tuple[dict[str, Any], str]) -> None:
    tiers = demo[0]["tiers"]

    assert list(tiers) == ["device", "edge", "cloud"]
    assert tiers["device"]["share"] > tiers["edge"]["share"] > tiers["cloud"]["share"] > 0
    assert sum(tier["share"] for tier in tiers.values()) == pytest.approx(1, abs=0.001)
    assert tiers["device"]["judged"] == demo[0]["prompts"]


def test_the_achieved_escalation_rate_is_near_beta(demo: tuple[dict[str, Any], str]) -> None:
    for name in ("device", "edge"):
        tier = demo[0]["tiers"][name]

        assert tier["escalation_rate"] == pytest.approx(tier["beta"], abs=0.08)


def test_the_cascade_sends_less_than_the_cloud_alone(demo: tuple[dict[str, Any], str]) -> None:
    report, _ = demo
    cloud_only = report["baselines"]["cloud"]["burden_bytes"]

    assert set(report["burden_bytes"]) == {"device-edge", "edge-cloud"}
    assert 0 < report["burden_bytes"]["edge-cloud"] < report["burden_bytes"]["device-edge"]
    assert sum(report["burden_bytes"].values()) < 0.7 * cloud_only
    assert report["baselines"]["device"]["burden_bytes"] == 0


def test_larger_models_know_more_and_the_cascade_gains(demo: tuple[dict[str, Any], str]) -> None:
    report, _ = demo
    alone = {name: base["accuracy"] for name, base in report["baselines"].items()}

    assert alone["device"] < alone["edge"] < alone["cloud"]
    assert alone["device"] < report["accuracy"] < alone["cloud"] + 0.02


def test_recserve_as_published_stands_beside_the_same_prompts_by_agreement(
    demo: tuple[dict[str, Any], str],
) -> None:
    report, printed = demo
    published = report["as_published"]

    alone = {name: base["accuracy"] for name, base in report["baselines"].items()}
    assert alone["device"] < published["accuracy"] < alone["cloud"] + 0.02
    assert sum(published["share"].values()) == pytest.approx(1, abs=0.001)
    share = published["share"]
    sent = round((share["edge"] + 2 * share["cloud"]) * report["prompts"])
    assert published["sent"] == pytest.approx(sent, abs=1)
    low, high = published["gained_interval_95"]
    assert low <= published["gained"] <= high
    assert published["gained"] == pytest.approx(
        report["accuracy"] - published["accuracy"], abs=0.0002
    )
    trouble_free = sum(published["burden_bytes"].values()) / published["sent"]
    counted = sum(report["burden_bytes"].values()) / report["sent"]
    assert 0.5 * counted < trouble_free < 1.05 * counted, "repeats come on top where it is slow"
    (line,) = (line for line in printed.splitlines() if "times sent up a link" in line)
    assert f"{published['sent']:,}" in line
    assert f"{report['sent']:,}" in line


def test_the_tables_show_what_the_report_says(demo: tuple[dict[str, Any], str]) -> None:
    report, printed = demo

    assert f"{report['prompts']} prompts, {report['results']} results, 0 lost" in printed
    for words in ("Who answered", "the cascade", "cloud only", "device-edge", "edge-cloud"):
        assert words in printed
    assert max(map(len, printed.splitlines())) <= 80
    for quantile in ("p50", "p95", "p99"):
        assert report["tiers"]["device"]["latency_ms"][quantile] > 0


def test_the_bundled_prompts_are_balanced_and_varied() -> None:
    prompts = read_prompts()

    positive = sum(prompt.label == "positive" for prompt in prompts)
    assert 0.45 < positive / len(prompts) < 0.55
    assert len({prompt.text for prompt in prompts}) == len(prompts)
    assert {prompt.domain for prompt in prompts} == {
        "film", "product", "place", "machine", "sensor",
    }  # fmt: skip


def test_a_bad_row_of_prompts_is_named(tmp_path: Path) -> None:
    file = tmp_path / "prompts.tsv"
    file.write_text("text\tlabel\tdomain\tkind\ngood\tpositive\tfilm\tplain\nonly two\tcolumns\n")

    with pytest.raises(DataError, match="row 3 has 2 columns"):
        read_prompts(file)
