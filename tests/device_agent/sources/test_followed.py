"""One growing file: its lines, its places, and how it is known from every other."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device_agent.sources.followed import FilePosition, Followed, FollowedLine, Rewritten

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_BYTES = 1_000


@contextlib.contextmanager
def followed(path: Path) -> Iterator[Followed]:
    with contextlib.closing(Followed(path, LIMIT_BYTES)) as file:
        yield file


def read_all(file: Followed) -> list[FollowedLine]:
    found: list[FollowedLine] = []
    while (lines := file.read()) is not None:
        found += lines
    return found


def texts(file: Followed) -> list[bytes]:
    return [line.text for line in read_all(file)]


def places(path: Path) -> list[FilePosition]:
    with followed(path) as file:
        return [line.place for line in read_all(file)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "pump.log"
    path.write_bytes(b"".join(b"%d bar, %d rpm\n" % (n % 7, n * 31) for n in range(10_000)))
    return path


def test_lines_come_whole_whatever_pieces_the_file_is_read_in(log: Path) -> None:
    with followed(log) as file:
        assert texts(file) == log.read_bytes().splitlines()
    assert log.stat().st_size > 1 << 17


def test_a_line_comes_once_it_has_ended(log: Path) -> None:
    log.write_bytes(b"one\ntw")
    with followed(log) as file:
        assert texts(file) == [b"one"]
        with log.open("ab") as more:
            more.write(b"o\nthr")
        assert texts(file) == [b"two"]
        rest = file.rest()
        assert rest is not None
        assert rest.text == b"thr"
        assert file.rest() is None


@pytest.mark.parametrize("number", [0, 1, 17, 4_999, 9_999])
def test_a_file_is_read_on_from_any_place_in_it(log: Path, number: int) -> None:
    place = places(log)[number]
    with followed(log) as file:
        assert file.go_to(place)
        assert texts(file) == log.read_bytes().splitlines()[number + 1 :]


def test_a_place_is_not_in_a_file_that_was_written_anew_in_place(log: Path) -> None:
    for number in (0, 3, 5_000):
        place, inode = places(log)[number], log.stat().st_ino
        old = log.read_bytes()
        log.write_bytes(b"a new day: " + old)
        assert log.stat().st_ino == inode
        with followed(log) as file:
            assert not file.go_to(place)
        log.write_bytes(old)


def test_a_place_is_not_in_a_file_whose_last_line_before_it_is_another(log: Path) -> None:
    old = log.read_bytes()
    place = places(log)[-1]
    log.write_bytes(old[:-5] + b"rps!\n" + b"more\n")
    with followed(log) as file:
        assert not file.go_to(place)


def test_a_place_is_in_a_copy_only_where_the_inode_does_not_count(
    log: Path, tmp_path: Path
) -> None:
    place, copy = places(log)[100], tmp_path / "copy"
    copy.write_bytes(log.read_bytes())
    with followed(copy) as file:
        assert not file.go_to(place)
        assert file.go_to(place, any_inode=True)


@pytest.mark.parametrize("anew", [b"", b"short\n", b"9" * 400_000 + b"\n"])
def test_a_file_written_anew_between_two_looks_is_noticed(log: Path, anew: bytes) -> None:
    with followed(log) as file:
        read_all(file)
        log.write_bytes(anew)
        with pytest.raises(Rewritten):
            file.read()


def test_a_change_at_the_beginning_alone_is_noticed(log: Path) -> None:
    with followed(log) as file:
        read_all(file)
        with log.open("r+b") as other:
            other.write(b"X")
        with pytest.raises(Rewritten):
            file.read()


@pytest.mark.parametrize(
    ("content", "then", "found"),
    [
        (b"", b"new\n", [b"new"]),
        (b"old\n", b"new\n", [b"new"]),
        (b"old\nhalf", b" a line\n", [b"half a line"]),
        (b"half", b" a line\n", [b"half a line"]),
    ],
)
def test_from_the_end_begins_with_the_line_that_has_not_ended(
    tmp_path: Path, content: bytes, then: bytes, found: list[bytes]
) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(content)
    with followed(path) as file:
        place = file.go_to_end()
        with path.open("ab") as more:
            more.write(then)
        assert texts(file) == found
    with followed(path) as file:
        assert file.go_to(place)
        assert texts(file) == found


def test_a_line_without_an_end_takes_no_more_memory_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "endless.log"
    with path.open("wb") as file:
        file.write(b"before\n")
        file.seek(300 << 20)  # a hole, of which nothing is on the disk
        file.write(b"\nafter\n")
    with followed(path) as endless:
        before, long, after = read_all(endless)
        assert (before.text, after.text) == (b"before", b"after")
        assert len(long.text) == LIMIT_BYTES + 1


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            Followed(path, LIMIT_BYTES)
