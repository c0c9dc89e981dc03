from __future__ import annotations

import bz2
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from experiments.datasets.read import read_set
from experiments.datasets.source import Source, parse_source
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.datasets.sets import LabelledSet

NAMES = ("negative", "positive")
FOUR = "text\tlabel\na good film\t1\na bad film\t0\ngood soup\tpositive\nbad soup\tnegative\n"


def read(path: Path, environ: dict[str, str] | None = None, **keys: Any) -> LabelledSet:
    return read_set(Source(place=str(path), **keys), NAMES, environ or {})


def written(folder: Path, content: str | bytes, name: str = "films.tsv") -> Path:
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["films.tsv", "films.tsv.gz"])
def test_labels_are_numbers_or_names(tmp_path: Path, name: str) -> None:
    data = read(written(tmp_path, FOUR, name))

    assert data.texts == ("a good film", "a bad film", "good soup", "bad soup")
    assert data.labels == (1, 0, 1, 0)
    assert data.label_names == NAMES


@pytest.mark.parametrize("name", ["films.jsonl", "films.jsonl.gz"])
def test_objects_have_named_columns(tmp_path: Path, name: str) -> None:
    rows = [{"review": "good", "stars": 1, "x": None}, {"review": "bad", "stars": "negative"}]
    content = "".join(json.dumps(row) + "\n" for row in rows)

    data = read(written(tmp_path, content, name), text="review", label="stars")

    assert data.texts == ("good", "bad")
    assert data.labels == (1, 0)


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_cells(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + FOUR.replace("\n", "\r\n").encode()

    assert read(written(tmp_path, content)).labels == (1, 0, 1, 0)


def test_a_line_separator_inside_a_text_is_text(tmp_path: Path) -> None:
    assert read(written(tmp_path, "text\tlabel\ngood\u2028film\t1\n")).texts == ("good\u2028film",)


def test_the_first_rows_are_taken_without_reading_the_rest(tmp_path: Path) -> None:
    data = read(written(tmp_path, FOUR + "no label\n"), rows=2)

    assert data.labels == (1, 0)


def test_drawn_rows_keep_their_order_and_are_repeated_by_the_seed(tmp_path: Path) -> None:
    rows = "".join(f"{number:03d}\t{number % 2}\n" for number in range(100))
    path = written(tmp_path, "text\tlabel\n" + rows)

    data = read(path, rows=10, pick="drawn", seed=5)

    assert len(data) == 10
    assert list(data.texts) == sorted(data.texts)
    assert all(label == int(text) % 2 for text, label in zip(data.texts, data.labels, strict=True))
    assert data == read(path, rows=10, pick="drawn", seed=5)
    assert data != read(path, rows=10, pick="drawn", seed=6)


def test_more_rows_than_there_are_is_all_of_them(tmp_path: Path) -> None:
    assert len(read(written(tmp_path, FOUR), rows=9, pick="drawn")) == 4


def test_a_relative_path_is_looked_up_below_the_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    written(folder, FOUR, "test.tsv.gz")

    data = read_set(Source(place="films/test.tsv.gz"), NAMES, {"RECSERVE_DATA": str(tmp_path)})

    assert data.name == "films-test"


def test_a_source_may_be_named() -> None:
    assert parse_source("reviews=a=b.tsv") == Source(place="a=b.tsv", name="reviews")
    assert parse_source("b.tsv") == Source(place="b.tsv")
    with pytest.raises(DataError, match="not of the form"):
        parse_source("=b.tsv")


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "only a header": ("text\tlabel\n", "films.tsv: has no rows"),
    "nothing at all": ("", "films.tsv: row 1 is empty"),
    "no label column": ("text\tstars\ngood\t1\n", "row 1 names no column 'label', only 'text, st"),
    "no text column": ("prompt\tlabel\ngood\t1\n", "row 1 names no column 'text'"),
    "an unknown name": (FOUR + "so\tneutral\n", "row 6 has the label 'neutral', but the model kno"),
    "a number too high": (FOUR + "so\t2\n", "row 6 has the label '2', but the model knows negativ"),
    "a negative number": (FOUR + "so\t-1\n", "row 6 has the label '-1'"),
    "an empty label": (FOUR + "so\t\n", "row 6 has no label"),
    "an empty text": (FOUR + " \t1\n", "row 6 has no text"),
    "a column too few": (FOUR + "so\n", "row 6 has 1 columns, but the header has 2"),
    "a column too many": (FOUR + "so\tso\t1\n", "row 6 has 3 columns, but the header has 2"),
    "another encoding": (FOUR.encode() + b"d\xe9j\xe0\t1\n", "row 6 is not UTF-8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_named_with_its_row(tmp_path: Path, fault: str) -> None:
    content, message = FAULTS[fault]

    with pytest.raises(DataError) as raised:
        read(written(tmp_path, content))

    assert message in str(raised.value)
    assert str(tmp_path / "films.tsv") in str(raised.value)
    assert "\n" not in str(raised.value)


OBJECT_FAULTS = {
    "not JSON": ('{"text": "good", "label": 1}\n{"text"', "row 2 is not JSON"),
    "no object": ("[1]\n", "row 1 is not a JSON object"),
    "a missing column": ('{"text": "good"}\n', "row 1 has no 'label', only 'text'"),
    "a null label": ('{"text": "good", "label": null}\n', "row 1 has no label"),
    "a truth value": ('{"text": "good", "label": true}\n', "row 1 has the label True"),
    "a text that is none": ('{"text": 3, "label": 1}\n', "row 1 has no text"),
    "no rows": ("", "has no rows"),
}


@pytest.mark.parametrize("fault", OBJECT_FAULTS)
def test_a_bad_object_is_named_with_its_row(tmp_path: Path, fault: str) -> None:
    content, message = OBJECT_FAULTS[fault]

    with pytest.raises(DataError) as raised:
        read(written(tmp_path, content, "films.jsonl"))

    assert message in str(raised.value)


def test_a_truncated_gzip_is_named_with_the_row_it_breaks_at(tmp_path: Path) -> None:
    rows = "".join(f"{number * 7919 % 10007} {number}\t1\n" for number in range(5000))
    path = written(tmp_path, "text\tlabel\n" + rows, "films.tsv.gz")
    path.write_bytes(path.read_bytes()[:-2000])

    with pytest.raises(DataError, match=r"films\.tsv\.gz: row \d{4} cannot be read: the gzip"):
        read(path)


def test_a_set_is_unpacked_by_its_content_whatever_its_name_says(tmp_path: Path) -> None:
    for name in ("films.tsv", "films.tsv.gz", "films.tsv.zst", "FILMS.TSV.XZ"):
        for content in (FOUR.encode(), gzip.compress(FOUR.encode()), bz2.compress(FOUR.encode())):
            path = tmp_path / name
            path.write_bytes(content)
            assert read(path).labels == (1, 0, 1, 0)


def test_a_set_of_one_endless_line_is_named(tmp_path: Path) -> None:
    for name, start in (("films.tsv", FOUR), ("films.jsonl", '{"text": "')):
        path = tmp_path / name
        path.write_bytes(gzip.compress(start.encode() + b"a" * 3_000_000))
        with pytest.raises(DataError, match=rf"{name}, line \d: is longer than 1,048,576"):
            read(path)


def test_a_set_that_memory_cannot_hold_is_refused_where_it_becomes_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.datasets.files.MOST_BYTES", 200_000)
    long, short = "a" * 50_000 + "\t1\n", "a\t1\n"

    for row, number in ((long, 5), (short, 1_400)):
        path = written(tmp_path, "text\tlabel\n" + row * 9_000, "films.tsv.gz")
        with pytest.raises(DataError, match=r"row \d+ is beyond the 0 MB .* give fewer rows"):
            read(path)
        assert len(read(path, rows=number - 3)) == number - 3


@pytest.mark.parametrize("label", ["1.0", "1.", " 1 ", "positive "])
def test_a_label_may_have_come_through_other_programs(tmp_path: Path, label: str) -> None:
    assert read(written(tmp_path, f"text\tlabel\nfine\t{label}\n")).labels == (1,)
    rows = '{"text": "fine", "label": 1.0}\n\n'
    assert read(written(tmp_path, rows, "films.jsonl")).labels == (1,)


@pytest.mark.parametrize("label", ["1.5", "-0", "9" * 5_000, "²", "nan"])
def test_a_label_that_is_no_number_of_a_name_is_quoted_in_a_short_sentence(
    tmp_path: Path, label: str
) -> None:
    with pytest.raises(DataError, match="row 2 has the label") as raised:
        read(written(tmp_path, f"text\tlabel\nfine\t{label}\n"))
    assert len(str(raised.value)) < 400


def test_a_missing_file_is_named_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"none\.tsv or {tmp_path}/none\.tsv: there is no such"):
        read_set(Source(place="none.tsv"), NAMES, {"RECSERVE_DATA": str(tmp_path)})


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"films\.xml: is neither \.tsv nor \.jsonl"):
        read(written(tmp_path, FOUR, "films.xml"))
