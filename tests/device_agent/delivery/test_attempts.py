"""Deaths inside the model are counted by text; here a process of its own dies for it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from device_agent.delivery.attempts import Attempts
from device_agent.delivery.counted import CountedModel
from shared.errors import SettingsError
from shared.tasks.classify import requests
from tests.support.fakes import BREAKS, LookupModel
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

KILLS = "überläuft"
VICTIM = """
import os, signal, sys
from pathlib import Path
from device_agent.delivery.attempts import Attempts
from device_agent.delivery.counted import CountedModel
from shared.tasks.classify import requests

class Engine:
    name, digest, tasks, labels = "engine", "", frozenset({"classify"}), ("a", "b")
    def answer(self, requests):
        if sys.argv[2] in [request.content for request in requests]:
            os.kill(os.getpid(), signal.SIGKILL)
        return [None for _ in requests]

model = CountedModel(Engine(), Attempts(Path(sys.argv[1])))
model.answer(requests(["before"]))
model.answer(requests(sys.argv[3:]))
"""


def die(path: Path, *texts: str) -> None:
    """Let a process die of one of these texts, all of which are inside the model then."""
    victim = [sys.executable, "-c", VICTIM, str(path), KILLS, *texts]
    assert subprocess.run(victim, cwd=ROOT, check=False).returncode == -9


def test_a_death_inside_the_model_counts_against_what_was_in_it(tmp_path: Path) -> None:
    die(tmp_path / "attempts", KILLS)
    die(tmp_path / "attempts", "bystander", KILLS)

    attempts = Attempts(tmp_path / "attempts")

    assert [attempts.died_of(text) for text in (KILLS, "bystander", "before", "")] == [2, 0, 0, 0]
    attempts.close()


def test_all_of_a_batch_are_suspects_until_they_have_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    die(path, "one", KILLS, "another")
    attempts = Attempts(path)
    model = LookupModel()
    counted = CountedModel(model, attempts)
    assert [attempts.died_of(text) for text in ("one", KILLS, "another")] == [1, 1, 1]

    answers = counted.answer(requests(["one", "new", "another"]))

    assert model.batches == [["one"], ["new"], ["another"]]
    assert len(answers) == 3
    assert [attempts.died_of(text) for text in ("one", KILLS, "another")] == [0, 1, 0]
    counted.answer(requests(["one", "another"]))
    assert model.batches[-1] == ["one", "another"]
    attempts.close()


def test_an_engine_that_raises_has_not_died(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "attempts")
    counted = CountedModel(LookupModel(), attempts)

    with pytest.raises(RuntimeError):
        counted.answer(requests([BREAKS]))

    attempts.close()
    again = Attempts(tmp_path / "attempts")
    assert again.died_of(BREAKS) == 0
    again.close()


def test_what_is_forgotten_is_forgotten_for_good(tmp_path: Path) -> None:
    path = tmp_path / "attempts"
    die(path, KILLS)
    attempts = Attempts(path)

    attempts.forget(KILLS)
    attempts.close()

    again = Attempts(path)
    assert again.died_of(KILLS) == 0
    again.close()


def test_any_bytes_make_a_file_of_attempts(tmp_path: Path) -> None:
    path, draw = tmp_path / "attempts", random.Random(3)
    for length in (0, 1, 16, 17, 4095, 4096, 100_000):
        path.write_bytes(draw.randbytes(length))
        attempts = Attempts(path)
        assert attempts.died_of("a text") == 0
        with attempts.inside(["a text"] * 500):
            assert path.stat().st_size >= 4096
        attempts.close()


def test_a_disk_that_is_full_is_said_once_and_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "attempts").symlink_to("/dev/full")
    with capture_logs() as logs:
        attempts = Attempts(tmp_path / "attempts")
        counted = CountedModel(LookupModel(), attempts)
        for _ in range(3):
            assert len(counted.answer(requests(["a text"]))) == 1
        attempts.close()

    assert [log["event"] for log in logs] == ["not counted"]


def test_a_disk_that_stands_still_costs_one_short_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves, really = threading.Event(), os.pwrite

    def stand(file: int, content: bytes, offset: int) -> int:
        moves.wait(10)
        return really(file, content, offset)

    monkeypatch.setattr("os.pwrite", stand)
    attempts = Attempts(tmp_path / "attempts")
    counted = CountedModel(LookupModel(), attempts)

    began_s = time.monotonic()
    for _ in range(100):
        counted.answer(requests(["a text"]))
    took_s = time.monotonic() - began_s

    assert took_s < 100 * 0.05 / 2, "not each of them waited"
    moves.set()
    attempts.close()


def test_a_folder_that_cannot_hold_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="missing/attempts: cannot be opened"):
        Attempts(tmp_path / "missing" / "attempts")
