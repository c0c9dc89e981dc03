"""Read the rows of a TSV or JSONL file, plain or gzipped.

A TSV file has a header, one row a line, tabs between columns and no quoting; a JSONL file has one
object a line. What the cells mean is checked in ``experiments.reading``.
"""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import msgspec

from experiments.sources import Row, Source
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path


def read_file(path: Path, source: Source) -> Generator[Row, None, None]:
    """Return the rows one by one. Raises ``DataError`` naming the file and the row."""
    suffixes = "".join(path.suffixes)
    if suffixes.endswith((".tsv", ".tsv.gz")):
        return _tsv(path, source)
    if suffixes.endswith((".jsonl", ".jsonl.gz")):
        return _jsonl(path, source)
    raise DataError(f"{path}: is neither .tsv nor .jsonl (.gz allowed); convert it to one of them")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers, without their ends."""
    number = 0
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: row {number} is not UTF-8 text; save the file as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: row {number + 1} cannot be read ({error}); fetch the file again"
        ) from error


def _tsv(path: Path, source: Source) -> Generator[Row, None, None]:
    lines = _lines(path)
    header = next(lines, (1, ""))[1].split("\t")
    if header == [""]:
        raise DataError(f"{path}: row 1 is empty, but must name the columns of text and label")
    for column in (source.text, source.label):
        if column not in header:
            raise DataError(
                f"{path}: row 1 names no column {column!r}, only {', '.join(header)!r}; "
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
        yield Row(number, cells[text], cells[label])


def _jsonl(path: Path, source: Source) -> Generator[Row, None, None]:
    for number, line in _lines(path):
        try:
            entry = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise DataError(f"{path}: row {number} is not JSON ({error})") from error
        if not isinstance(entry, dict):
            raise DataError(f"{path}: row {number} is not a JSON object; write one object a line")
        for column in (source.text, source.label):
            if column not in entry:
                raise DataError(
                    f"{path}: row {number} has no {column!r}, only {', '.join(entry)!r}; "
                    "name the columns of text and label"
                )
        yield Row(number, entry[source.text], entry[source.label])
