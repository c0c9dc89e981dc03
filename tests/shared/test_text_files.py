"""Text files as people have them: packed, marked, cut short, and not text at all."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared import text_files
from shared.errors import DataError
from shared.text_files import LONGEST_LINE, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable

zstd = text_files.zstd  # type: ignore[attr-defined] # of one of two libraries
TEXT = "Zeit;Länge\r\n3;4\r\n\r\n5;6"
LINES = [(1, "Zeit;Länge"), (2, "3;4"), (4, "5;6")]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstandard": zstd.compress,
}


def read(folder: Path, data: bytes, name: str = "file") -> tuple[list[tuple[int, str]], list[str]]:
    """Return the lines, and what was said to be wrong with which."""
    path = folder / name
    said: list[str] = []
    path.write_bytes(data)
    lines = [(n, text) for n, text in read_lines(path, lambda n, why: said.append(f"{n}: {why}"))]
    return lines, said


@pytest.mark.parametrize("form", PACK)
def test_how_a_file_is_packed_is_told_from_its_content(tmp_path: Path, form: str) -> None:
    assert read(tmp_path, PACK[form](TEXT.encode()), "trace.csv") == (LINES, [])
    assert read(tmp_path, TEXT.encode(), "trace.csv.gz") == (LINES, [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_mark_in_front_names_the_encoding_and_is_no_part_of_the_text(
    tmp_path: Path, encoding: str
) -> None:
    assert read(tmp_path, TEXT.encode(encoding)) == (LINES, [])
    assert read(tmp_path, gzip.compress(TEXT.encode(encoding))) == (LINES, [])


def test_big_endian_text_is_read_by_its_mark(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xfe\xff" + TEXT.encode("utf-16-be")) == (LINES, [])


@pytest.mark.parametrize("form", PACK)
def test_a_packed_file_cut_short_gives_what_it_has_and_says_where_it_ends(
    tmp_path: Path, form: str
) -> None:
    rows = b"".join(b"%d %d\n" % (row, row * 7919 % 1013) for row in range(200_000))

    lines, said = read(tmp_path, PACK[form](rows)[:-9_000])

    assert 0 < len(lines) < 200_000
    (fault,) = said
    assert fault.startswith(f"{len(lines) + 1}: cannot be read: the {form} file ends or breaks")


@pytest.mark.parametrize("form", PACK)
def test_a_packed_file_whose_middle_is_damaged_is_said_to_break(tmp_path: Path, form: str) -> None:
    data = bytearray(PACK[form](os.urandom(30_000).hex().encode() + b"\n"))
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)

    _, said = read(tmp_path, bytes(data))

    assert said
    assert "ends or breaks here" in said[-1]


def test_a_line_that_is_no_text_is_left_out_and_the_next_is_read(tmp_path: Path) -> None:
    lines, said = read(tmp_path, b"one\n\xfftwo\nth\x00ree\nf\xc3\xb6ur\n")

    assert lines == [(1, "one"), (4, "föur")]
    assert [fault.partition(":")[0] for fault in said] == ["2", "3"]
    assert all("is not UTF-8 text" in fault for fault in said)


def test_utf_16_without_a_mark_or_cut_in_a_character_is_said_to_be_no_text(tmp_path: Path) -> None:
    lines, said = read(tmp_path, "a\nb\n".encode("utf-16-le"))
    assert (lines, said[0]) == ([], "1: is not UTF-8 text; save the file as UTF-8")

    lines, said = read(tmp_path, "a\nb\n".encode("utf-16")[:-1])
    assert lines == [(1, "a")]
    assert "not UTF-16-LE text: truncated data" in said[0]


def test_a_lone_surrogate_is_no_text(tmp_path: Path) -> None:
    assert read(tmp_path, "a\n\ud800\nb\n".encode("utf-16", "surrogatepass")) == (
        [(1, "a"), (3, "b")],
        ["2: is not UTF-8 text; save the file as UTF-8"],
    )


def test_an_archive_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file: is a zip archive"):
        read(tmp_path, b"PK\x03\x04and so on")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_lines(tmp_path, lambda *_: None))


def test_without_its_library_zstandard_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zstd.compress(TEXT.encode())
    monkeypatch.setattr(text_files, "zstd", None)

    with pytest.raises(DataError, match=r'zstandard, .*pip install -e "\.\[zstd\]"'):
        read(tmp_path, data)


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    place = tmp_path / "pipe"
    os.mkfifo(place)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    with subprocess.Popen(["sh", "-c", 'exec cat "$1" >"$2"', "", packed, place]):
        assert [tuple(line) for line in read_lines(place, lambda *_: None)] == LINES


READ = """
import sys
from pathlib import Path
from shared.errors import DataError
from shared.text_files import read_lines
try:
    print(sum(1 for _ in read_lines(Path(sys.argv[1]), lambda *why: print(*why))), "lines")
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("form", PACK)
def test_a_small_file_that_unpacks_to_one_huge_line_takes_little_memory(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACK[form](b"start of it\n") + PACK[form](bytes([32]) * (1 << 26)) * 8)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))

    ran = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        cwd=Path(__file__).parents[2],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.stderr == ""
    assert f"line 2: is longer than {LONGEST_LINE:,} characters" in ran.stdout
