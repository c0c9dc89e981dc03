"""Nights of a tiny model, whole: trained, packed, examined as it is served. Seconds each."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edge_agent.nights.trainer import train
from recserve.night.hold import main, read_old
from shared.errors import DataError
from tests.support.processes import ROOT
from tests.support.tiny_nights import Learner, order_night, write_learner, write_random

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("onnxruntime_genai")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


_HOLD = "import sys, pathlib; from recserve.night.hold import main; main(pathlib.Path(sys.argv[1]))"
"""At the priority of the tests: a night of its own waits for whoever else wants the processor."""


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    return write_learner(tmp_path_factory.mktemp("learner"))


def test_a_row_of_old_knowledge_without_wordings_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text('{"wordings": ["who?"], "answer": "Ida"}\n{"answer": "Holm"}\n')

    with pytest.raises(DataError, match=r"old\.jsonl: line 2 has no wordings"):
        read_old(path)


def test_a_night_teaches_what_the_memory_knows_and_keeps_the_rest(
    learner: Learner, tmp_path: Path
) -> None:
    nights, number = order_night(tmp_path, learner)
    outcome = main(nights.of(number))

    assert outcome.verdict == "passed", outcome
    assert outcome.gates["held-out wordings"].value >= 0.8
    assert outcome.gates["old knowledge"].value >= 0.95
    assert len(outcome.learned) >= 0.8 * len(learner.new)
    assert (nights.bundle(number) / "bundle.yaml").is_file()
    assert not (nights.of(number) / "tuned").exists()


def test_a_night_without_replay_is_rejected_by_what_it_forgot(
    learner: Learner, tmp_path: Path
) -> None:
    nights, number = order_night(tmp_path, learner, old_rows=0)
    outcome = main(nights.of(number))

    assert outcome.verdict == "rejected"
    assert outcome.rejected["held-out wordings"].open
    assert not outcome.rejected["old knowledge"].open
    assert "old knowledge" in outcome.why  # nor does half of it fit without replay
    assert outcome.new == len(learner.new) // 2
    assert outcome.learned == {}


@pytest.mark.long
def test_a_night_that_was_too_much_is_tried_with_half_of_it(
    learner: Learner, tmp_path: Path
) -> None:
    nights, number = order_night(tmp_path, learner, old_rows=1, new_rows=31, steps=300)
    outcome = main(nights.of(number))

    assert not outcome.rejected["old knowledge"].open
    assert outcome.verdict == "passed", outcome
    assert outcome.new == len(learner.new) // 2


@pytest.mark.long
def test_a_model_of_random_weights_is_rejected(learner: Learner, tmp_path: Path) -> None:
    nights, number = order_night(tmp_path, learner)
    write_random(learner, nights.of(number) / "tuned")  # as if training had come to that
    outcome = main(nights.of(number))

    assert not outcome.rejected["held-out wordings"].open
    assert not outcome.rejected["old knowledge"].open
    assert outcome.bundle
    assert outcome.verdict == "passed", "the second try trains"


def test_a_night_that_takes_too_long_ends_in_one_line(learner: Learner, tmp_path: Path) -> None:
    nights, number = order_night(tmp_path, learner, steps=1_000_000, limit_s=1.0)
    outcome = asyncio.run(train(nights, number, idle=False))

    assert outcome.verdict == "failed"
    assert outcome.why == "its process ended with 1: memory.night.limit_s passed, which is 1 s"


def test_a_killed_night_goes_on_where_it_was(learner: Learner, tmp_path: Path) -> None:
    nights, number = order_night(tmp_path, learner, steps=2_000)
    folder = nights.of(number)

    with subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], cwd=ROOT) as process:
        while not (folder / "checkpoint.pt").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    before = nights.unfinished
    order = json.loads((folder / "order.json").read_text())
    order["night"]["steps"] = 120  # as good as done
    (folder / "order.json").write_text(json.dumps(order))
    outcome = main(folder)

    assert before == number
    assert nights.outcome(number) == outcome
    assert outcome.verdict in ("passed", "rejected"), outcome
    assert outcome.steps >= 100


def test_a_base_that_is_missing_is_said_in_one_line(learner: Learner, tmp_path: Path) -> None:
    nights, number = order_night(tmp_path, learner, base=str(tmp_path / "nowhere"))
    outcome = main(nights.of(number))

    assert outcome.verdict == "failed"
    assert outcome.why.startswith(f"{tmp_path / 'nowhere'}: ")
    assert "\n" not in outcome.why


def test_a_night_with_too_little_to_learn_does_nothing(learner: Learner, tmp_path: Path) -> None:
    nights, number = order_night(tmp_path, learner, least=100)
    outcome = main(nights.of(number))

    assert outcome.verdict == "nothing"
    assert outcome.why == "12 entries can be learned, and memory.night.least is 100"
