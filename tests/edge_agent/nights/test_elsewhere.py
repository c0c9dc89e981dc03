"""Nights that a cloud agent trains for an edge: real processes over a real Mosquitto."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shared.nodes.lesson_folder import LessonFolder
from shared.runtimes.weights import weights_digest
from tests.support.lessons import write_base
from tests.support.processes import ROOT, BrokerProcess, skip_without_program
from tests.support.taught_elsewhere import NightSite
from tests.support.tiny_nights import Learner, order_night, write_learner
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("onnxruntime_genai")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    return write_learner(tmp_path_factory.mktemp("learner"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    skip_without_program("mosquitto", "mosquitto")
    broker = BrokerProcess("mosquitto", tmp_path_factory.mktemp("broker")).start()
    yield broker
    broker.kill()


@pytest.fixture
def site(tmp_path: Path, learner: Learner, broker: BrokerProcess) -> Iterator[NightSite]:
    made = NightSite(tmp_path, learner, broker, f"t-{uuid4().hex[:8]}")
    yield made
    made.close()


async def test_a_night_taught_elsewhere_serves_though_both_are_killed_in_the_middle(
    site: NightSite,
) -> None:
    site.nights.ask()
    edge, cloud = site.edge(), site.cloud()
    await eventually(lambda: bool(list(site.lessons.glob("*/checkpoint.pt"))), "half of it", 100.0)
    came = site.lesson("from.json").read_bytes()
    site.killed(cloud)
    site.killed(edge)
    site.lesson("steps").unlink(missing_ok=True)
    assert site.nights.outcome(1) is None

    site.edge()
    site.cloud()
    await eventually(lambda: site.lesson("steps").exists(), "the training to go on", 100.0)
    assert int(site.lesson("steps").read_text()) > 50, "from its checkpoint"
    assert site.lesson("from.json").read_bytes() == came
    outcome = await site.outcome()

    assert outcome.verdict == "passed", outcome
    assert len(outcome.learned) >= 8
    await eventually(lambda: site.nights.believed is not None, "the exchange", 60.0)
    await eventually(lambda: not list(site.lessons.iterdir()), "the trainer to forget", 30.0)
    assert not list(site.nights.of(1).glob("lesson*"))


async def test_a_trainer_with_another_base_says_so_to_whoever_wants_a_night_now(
    site: NightSite, tmp_path: Path
) -> None:
    write_base(tmp_path / "other")
    site.cloud(tmp_path / "other")
    night = site.night()
    await eventually(lambda: not night.running(), "its end", 60.0)

    assert "night 1: failed, and the model goes on as it was: cloud-1 has no base" in night.said
    assert not list(site.lessons.glob("*"))


async def test_without_its_trainer_the_edge_serves_on_and_the_night_fails_in_a_line(
    site: NightSite,
) -> None:
    site.nights.ask()
    edge = site.edge(limit_s=8.0)
    outcome = await site.outcome()

    assert (outcome.verdict, outcome.why) == (
        "failed",
        "nothing was heard of the trainer cloud-1 when memory.night.limit_s passed, which is 8 s",
    )
    assert edge.running()


def test_an_edge_without_what_trains_writes_its_lesson(learner: Learner, tmp_path: Path) -> None:
    nights, number = order_night(tmp_path, learner, trainer="cloud-1")
    without = tmp_path / "without"
    for name in ("torch", "transformers", "peft", "onnx"):
        (without / name).mkdir(parents=True)
        (without / name / "__init__.py").write_text(f"raise ModuleNotFoundError({name!r})")
    ran = subprocess.run(
        [sys.executable, "-m", "recserve.night", str(nights.of(number)), "--awake"],
        env=os.environ | {"PYTHONPATH": f"{without}:{ROOT}"},
        capture_output=True,
        check=False,
    )
    lesson = LessonFolder(nights.of(number)).read()

    assert lesson is not None, ran.stderr
    assert lesson.base == weights_digest(str(learner.base))
    assert nights.outcome(number) is None
