from __future__ import annotations

import gzip
import lzma
from typing import TYPE_CHECKING

import pytest

from models.pack.labelled import read_labelled, read_texts
from shared.errors import DataError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 'text\tlabel\tstars\nsaid "good"\t1\t5\nbad\t0\t1\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "dev.tsv.gz"
    path.write_bytes(gzip.compress(ROWS.encode()))
    return path


def test_texts_and_labels_are_read_as_they_are_written(path: Path) -> None:
    data = read_labelled(f"dev={path}")
    assert (data.name, data.texts, data.labels) == ("dev", ('said "good"', "bad"), ("1", "0"))


def test_another_column_can_be_named(path: Path) -> None:
    assert read_labelled(f"dev={path}:stars").labels == ("5", "1")


def test_the_first_rows_alone_can_be_read(path: Path) -> None:
    assert read_labelled(f"dev={path}", 1).labels == ("1",)


def test_a_file_that_is_not_packed_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "plain.tsv").write_text(ROWS)
    assert read_texts(tmp_path / "plain.tsv") == ('said "good"', "bad")


@pytest.mark.parametrize("argument", ["dev", "=file.tsv", "dev=", "dev=file.tsv:"])
def test_an_argument_of_another_form_is_refused(argument: str) -> None:
    with pytest.raises(SettingsError, match="set=path"):
        read_labelled(argument)


def test_a_missing_column_is_named_with_those_there_are(path: Path) -> None:
    with pytest.raises(DataError, match="no column 'mood', only text, label, stars"):
        read_labelled(f"dev={path}:mood")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.tsv"):
        read_labelled(f"dev={tmp_path / 'nowhere.tsv'}")


def test_a_row_with_too_many_cells_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_text("text\tlabel\na\t1\nb\t0\tmore\n")
    with pytest.raises(DataError, match=r"bad\.tsv: row 3 has 3 columns"):
        read_labelled(f"dev={tmp_path / 'bad.tsv'}")


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.tsv").write_text("text\tlabel\n")
    with pytest.raises(DataError, match="no rows"):
        read_labelled(f"dev={tmp_path / 'none.tsv'}")


def test_a_file_is_read_however_it_was_saved(tmp_path: Path) -> None:
    saved = ROWS.replace("\n", "\r\n")
    packed = lzma.compress(saved.encode("utf-16"))
    for data in (saved.encode(), saved.encode("utf-8-sig"), saved.encode("utf-16"), packed):
        (tmp_path / "dev.tsv.gz").write_bytes(data)
        read = read_labelled(f"dev={tmp_path / 'dev.tsv.gz'}:stars")
        assert (read.texts, read.labels) == (('said "good"', "bad"), ("5", "1"))


def test_one_endless_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_bytes(gzip.compress(b"text\tlabel\n" + b"a" * 3_000_000))
    with pytest.raises(DataError, match=r"dev\.tsv, line 2: is longer than"):
        read_labelled(f"dev={tmp_path / 'dev.tsv'}")
