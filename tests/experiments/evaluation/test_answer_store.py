"""Answers survive their process, and are not believed when they are not the model's."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from experiments.evaluation.answer_store import Kept, open_store, prompt_key
from shared.errors import DataError
from shared.tasks.classify import Label
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ONE, OTHER = "1" * 64, "2" * 64
ANSWERS = {
    prompt_key(f"prompt {number}"): Kept(Label("positive"), 0.75, number, (0.25, 0.75))
    for number in range(2_000)
}


def fill(folder: Path, answers: dict[bytes, Kept] = ANSWERS, fingerprint: str = ONE) -> Path:
    with open_store(folder, fingerprint) as store:
        store.append(answers.items())
        return store.path


def reopened(folder: Path, fingerprint: str = ONE) -> Mapping[bytes, Kept]:
    with open_store(folder, fingerprint) as store:
        return store.answers


def test_what_was_appended_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    fill(tmp_path / "deep" / "folder")

    assert reopened(tmp_path / "deep" / "folder") == ANSWERS


def test_appending_again_adds_and_replaces(tmp_path: Path) -> None:
    fill(tmp_path)
    first = next(iter(ANSWERS))
    more = {
        prompt_key("more"): Kept(Label("negative"), 0.5, 7, (0.5, 0.5)),
        first: Kept(Label("negative"), 1.0, 1, (1.0, 0.0)),
    }
    fill(tmp_path, more)

    assert reopened(tmp_path) == ANSWERS | more


def test_probabilities_come_back_to_the_last_bit(tmp_path: Path) -> None:
    third = Kept(Label("ein Drittel, »so«"), 2 / 3, 3, (1 / 3, 2 / 3))
    fill(tmp_path, {prompt_key("third"): third})

    assert reopened(tmp_path)[prompt_key("third")] == third


def fill_and_be_killed(folder: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.experiments.evaluation.test_answer_store import ANSWERS, ONE\n"
        "from experiments.evaluation.answer_store import open_store\n"
        "with open_store(Path(sys.argv[1]), ONE) as store:\n"
        "    store.append(list(ANSWERS.items())[:1000])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, check=False)
    assert ran.returncode == -9


def test_what_a_killed_process_had_appended_is_there(tmp_path: Path) -> None:
    fill_and_be_killed(tmp_path)

    assert reopened(tmp_path) == dict(list(ANSWERS.items())[:1000])


def test_a_log_without_its_file_adds_nothing_to_the_file_that_comes_after(tmp_path: Path) -> None:
    fill_and_be_killed(tmp_path)
    (log,) = tmp_path.glob("*-wal")
    log.with_name(log.name.removesuffix("-wal")).unlink()
    later = {prompt_key("later"): Kept(Label("negative"), 0.5, 1, (0.5, 0.5))}

    fill(tmp_path, later)

    assert reopened(tmp_path) == later


@pytest.mark.parametrize("content", [b"x" * 100, b"x" * 10_000])
def test_a_file_that_is_no_store_is_put_aside_and_begun_anew(
    tmp_path: Path, content: bytes
) -> None:
    path = fill(tmp_path)
    path.write_bytes(content)

    with structlog.testing.capture_logs() as logged:
        assert reopened(tmp_path) == {}
    assert [line["event"] for line in logged] == ["kept answers are put aside"]
    assert path.with_name(f"{path.name}.aside").read_bytes() == content
    fill(tmp_path)
    assert reopened(tmp_path) == ANSWERS


@pytest.mark.parametrize("page", [1, 2, 5, 20])
def test_a_file_with_a_damaged_page_is_not_believed(tmp_path: Path, page: int) -> None:
    path = fill(tmp_path)
    content = bytearray(path.read_bytes())
    content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(content)

    assert reopened(tmp_path) in ({}, ANSWERS)
    fill(tmp_path)
    assert reopened(tmp_path) == ANSWERS


def test_the_file_of_another_model_is_not_believed(tmp_path: Path) -> None:
    path = fill(tmp_path)
    with open_store(tmp_path, OTHER) as store:
        other = store.path
    other.write_bytes(path.read_bytes())

    with structlog.testing.capture_logs() as logged:
        assert reopened(tmp_path, OTHER) == {}
    assert "of another model" in logged[0]["reason"]


def test_a_file_that_another_process_fills_is_refused(tmp_path: Path) -> None:
    with (
        open_store(tmp_path, ONE),
        pytest.raises(DataError, match="another process is filling it"),
        open_store(tmp_path, ONE),
    ):
        pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(DataError, match=r"file/1111.*choose another folder"),
        open_store(tmp_path / "file", ONE),
    ):
        pass
