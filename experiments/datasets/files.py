"""Read the rows of a TSV or JSONL file, plain or packed.

A TSV file has a header, one row a line, tabs between columns and no quoting; a JSONL file has one
object a line. What the cells mean is checked in ``experiments.datasets.read``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from experiments.datasets.source import RawRow, Source
from shared.errors import DataError
from shared.text_files import Line, read_lines

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

_PACKED: Final = (".gz", ".bz2", ".xz", ".zst")
_SHOWN: Final = 300
MOST_BYTES: Final = 1 << 29
"""A set is held in memory: this much of it, whatever its file unpacks to."""


def read_file(path: Path, source: Source) -> Generator[RawRow, None, None]:
    """Return the rows one by one. Raises ``DataError`` naming the file and the row."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    if suffixes[-1:] == [".tsv"]:
        return _tsv(path, source)
    if suffixes[-1:] == [".jsonl"]:
        return _jsonl(path, source)
    raise DataError(
        f"{path}: is neither .tsv nor .jsonl ({', '.join(_PACKED)} allowed); "
        "convert it to one of them"
    )


def _lines(path: Path) -> Iterator[Line]:
    def fault(number: int, reason: str) -> NoReturn:
        raise DataError(f"{path}: row {number} {reason}")

    taken_bytes = 0
    for line in read_lines(path, fault):
        taken_bytes += sys.getsizeof(line.text) + sys.getsizeof(line)
        if taken_bytes > MOST_BYTES:
            raise DataError(
                f"{path}: row {line.number} is beyond the {MOST_BYTES >> 20} MB that a set may "
                "take in memory; give fewer rows"
            )
        yield line


def _tsv(path: Path, source: Source) -> Generator[RawRow, None, None]:
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path}: row 1 is empty, but must name the columns of text and label")
    header = first.text.split("\t")
    for column in (source.text, source.label):
        if column not in header:
            raise DataError(
                f"{path}: row {first.number} names no column {column!r}, only {_names(header)}; "
                "name the columns of text and label"
            )
    text, label = header.index(source.text), header.index(source.label)
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(cells)} columns, but the header has {len(header)}; "
                "a text may hold no tab or line break"
            )
        yield RawRow(number, cells[text], cells[label])


def _jsonl(path: Path, source: Source) -> Generator[RawRow, None, None]:
    for number, line in _lines(path):
        try:
            entry = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise DataError(f"{path}: row {number} is not JSON ({error})") from error
        if not isinstance(entry, dict):
            raise DataError(f"{path}: row {number} is not a JSON object; write one object a line")
        for column in (source.text, source.label):
            if column not in entry:
                raise DataError(
                    f"{path}: row {number} has no {column!r}, only {_names(list(entry))}; "
                    "name the columns of text and label"
                )
        yield RawRow(number, entry[source.text], entry[source.label])


def _names(columns: list[str]) -> str:
    names = ", ".join(columns)
    return repr(names if len(names) <= _SHOWN else f"{names[:_SHOWN]} …")
