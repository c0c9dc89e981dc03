"""Files of JSON lines that a program appends to: read with errors that name the line.

What a crash tore off at the end is no line: it is left out when read, cut away when opened again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_Line = TypeVar("_Line")


def read_lines(path: Path, kind: type[_Line]) -> list[_Line]:
    """Return every line of a file; raises ``DataError`` that names the file and the line."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); is it of a run?") from error
    decode = msgspec.json.Decoder(kind).decode
    read: list[_Line] = []
    try:
        for line in lines:
            read.append(decode(line))  # noqa: PERF401 - the error needs to know how far we came
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        name = kind.__name__.lower()
        raise DataError(f"{path}: line {len(read) + 1} is no {name}: {error}") from error
    return read


@contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to add lines to it; raises ``DataError`` when that cannot be done."""
    try:
        _cut_torn_line(path)
        file = path.open("ab")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    with file:
        yield file


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
