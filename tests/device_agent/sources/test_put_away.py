"""Files move to the folder below with their answer, and nothing is overwritten."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from device_agent.sources.put_away import Taken, opened, put_away, shown

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "done").mkdir()
    return tmp_path


def put(inbox: Path, name: str, content: str = "some text") -> Taken:
    (inbox / name).write_text(content)
    with opened(inbox) as folder:
        return Taken.of(folder, name)


def done(inbox: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (inbox / "done").iterdir()}


def test_files_of_one_name_all_stay_each_with_its_own_answer(inbox: Path) -> None:
    for text in ("first", "second", "third"):
        taken = put(inbox, "shift.report.txt", text)
        assert put_away(inbox, taken, "done", f"answer to the {text}".encode())
    assert done(inbox) == {
        "shift.report.txt": "first",
        "shift.report.txt.json": "answer to the first\n",
        "shift.report-2.txt": "second",
        "shift.report-2.txt.json": "answer to the second\n",
        "shift.report-3.txt": "third",
        "shift.report-3.txt.json": "answer to the third\n",
    }


@pytest.mark.parametrize("there", ["a.txt", "a.txt.json"])
def test_what_lies_there_under_either_name_is_left_alone(inbox: Path, there: str) -> None:
    (inbox / "done" / there).write_text("somebody's own")
    assert put_away(inbox, put(inbox, "a.txt"), "done", b"{}")
    assert done(inbox)[there] == "somebody's own"
    assert {"a-2.txt", "a-2.txt.json"} < set(done(inbox))


@pytest.mark.parametrize(
    "name", ["n" * 251 + ".txt", "ü" * 125 + ".txt", "." + "h" * 254, b"caf\xe9.txt"]
)
def test_any_name_that_the_system_takes_can_be_put_away(inbox: Path, name: str | bytes) -> None:
    text = name if isinstance(name, str) else os.fsdecode(name)
    for said in (b"1", b"2"):
        assert put_away(inbox, put(inbox, text), "done", said)
    assert len(done(inbox)) == 4
    assert [path.name for path in inbox.iterdir()] == ["done"]
    assert shown(text).encode()


def test_a_file_that_is_gone_or_another_by_now_is_not_moved(inbox: Path) -> None:
    gone, other = put(inbox, "gone.txt"), put(inbox, "other.txt")
    (inbox / "gone.txt").unlink()
    (inbox / "fresh").write_text("a later text")
    (inbox / "fresh").rename(inbox / "other.txt")

    assert not put_away(inbox, gone, "done", b"{}")
    assert not put_away(inbox, other, "done", b"{}")

    assert done(inbox) == {}
    assert (inbox / "other.txt").read_text() == "a later text"


def test_a_link_in_place_of_the_folder_below_leads_nowhere(inbox: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (inbox / "done").rmdir()
    (inbox / "done").symlink_to(elsewhere)

    with pytest.raises(OSError, match="done"):
        put_away(inbox, put(inbox, "a.txt"), "done", b"{}")

    assert not list(elsewhere.iterdir())
    assert (inbox / "a.txt").exists()
