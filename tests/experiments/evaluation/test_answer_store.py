from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from experiments.evaluation.answer_store import AnswerStore, Kept, open_store, prompt_key
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = "1" * 64, "2" * 64
HEADER_BYTES = 64
RECORD_BYTES = 16 + 4 + 2 * 8 + 8
ANSWERS = {prompt_key(f"prompt {number}"): Kept(number, (0.25, 0.75)) for number in range(20)}


def fill(folder: Path, answers: dict[bytes, Kept] = ANSWERS) -> Path:
    with open_store(folder, ONE, 2) as store:
        store.append(answers.items())
        return store.path


def reopened(folder: Path, fingerprint: str = ONE, labels: int = 2) -> AnswerStore:
    with open_store(folder, fingerprint, labels) as store:
        return store


def test_what_was_appended_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    fill(tmp_path / "deep" / "folder")

    store = reopened(tmp_path / "deep" / "folder")

    assert store.answers == ANSWERS
    assert store.dropped == 0


def test_appending_again_adds(tmp_path: Path) -> None:
    fill(tmp_path)
    more = {prompt_key("more"): Kept(7, (0.5, 0.5))}
    path = fill(tmp_path, more)

    assert reopened(tmp_path).answers == ANSWERS | more
    assert path.stat().st_size == HEADER_BYTES + 21 * RECORD_BYTES


def test_probabilities_come_back_to_the_last_bit(tmp_path: Path) -> None:
    third = Kept(3, (1 / 3, 2 / 3))
    fill(tmp_path, {prompt_key("third"): third})

    assert reopened(tmp_path).answers[prompt_key("third")] == third


@pytest.mark.parametrize("torn_bytes", [1, RECORD_BYTES - 1, RECORD_BYTES + 5])
def test_a_torn_tail_loses_only_what_was_torn(tmp_path: Path, torn_bytes: int) -> None:
    path = fill(tmp_path)
    path.write_bytes(path.read_bytes()[:-torn_bytes])

    store = reopened(tmp_path)

    whole = 20 - -(-torn_bytes // RECORD_BYTES)
    assert store.answers == dict(list(ANSWERS.items())[:whole])
    assert store.dropped == 1


def test_what_is_appended_after_a_torn_tail_is_sound(tmp_path: Path) -> None:
    path = fill(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    reopened(tmp_path)
    fill(tmp_path)

    assert reopened(tmp_path).answers == ANSWERS
    assert reopened(tmp_path).dropped == 0


@pytest.mark.parametrize("offset", range(RECORD_BYTES))
def test_any_altered_byte_of_an_answer_drops_that_answer(tmp_path: Path, offset: int) -> None:
    path = fill(tmp_path)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + 5 * RECORD_BYTES + offset] ^= 1
    path.write_bytes(content)

    store = reopened(tmp_path)

    assert store.dropped == 1
    assert store.answers == {
        key: kept for row, (key, kept) in enumerate(ANSWERS.items()) if row != 5
    }


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 1000])
def test_a_file_that_is_no_store_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = fill(tmp_path)
    path.write_bytes(content)

    assert reopened(tmp_path).answers == {}
    fill(tmp_path)
    assert reopened(tmp_path).answers == ANSWERS


def test_the_file_of_another_model_is_not_believed(tmp_path: Path) -> None:
    path = fill(tmp_path)
    other = reopened(tmp_path, OTHER).path
    other.write_bytes(path.read_bytes())

    store = reopened(tmp_path, OTHER)

    assert store.answers == {}
    assert store.dropped == 20


def test_a_record_of_another_model_is_not_believed(tmp_path: Path) -> None:
    path = fill(tmp_path)
    other = reopened(tmp_path, OTHER).path
    other.write_bytes(other.read_bytes() + path.read_bytes()[HEADER_BYTES:])

    assert reopened(tmp_path, OTHER).answers == {}


def test_a_file_that_another_process_fills_is_refused(tmp_path: Path) -> None:
    with (
        open_store(tmp_path, ONE, 2),
        pytest.raises(DataError, match="another process is filling it"),
        open_store(tmp_path, ONE, 2),
    ):
        pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(DataError, match=r"file/1111.*choose another folder"),
        open_store(tmp_path / "file", ONE, 2),
    ):
        pass
