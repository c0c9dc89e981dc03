"""The lines of a file, plain or gzip, numbered from 1; what is wrong with one is told apart."""

from __future__ import annotations

import gzip
import math
import zlib
from typing import IO, TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from experiments.traces.faults import BadRow
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from experiments.traces.faults import Faults

_Value = TypeVar("_Value")
_LINE_BYTES: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"


class Line(NamedTuple):
    """One line without its end."""

    number: int
    text: str


def read_lines(path: Path, faults: Faults) -> Iterator[Line]:
    """Yield the lines that are not empty. Raises ``DataError`` when the file cannot be read."""
    line = 0
    try:
        with _open(path) as file:
            while raw := file.readline(_LINE_BYTES):
                line += 1
                if len(raw) == _LINE_BYTES:
                    raise DataError(f"{path}, line {line}: is longer than {_LINE_BYTES} bytes")
                text = _decode(raw, line, faults)
                if text.strip():
                    yield Line(line, text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        faults.note(line + 1, f"the gzip file ends or breaks here ({error})")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _decode(raw: bytes, line: int, faults: Faults) -> str:
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        faults.note(line, f"is not UTF-8 ({error.reason})")
        return ""


def number(text: str, what: str) -> float:
    """Read a finite number that is not negative, or raise ``BadRow``."""
    try:
        value = float(text)
    except ValueError:
        raise BadRow(f"{what} is {text!r}, not a number") from None
    if not (math.isfinite(value) and value >= 0):
        raise BadRow(f"{what} is {text!r}: a finite number from 0 on is wanted")
    return value


def decode(decoder: msgspec.json.Decoder[_Value], text: str) -> _Value:
    """Read one JSON object, or raise ``BadRow``."""
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRow(str(error)) from error


def tokens(text: str, what: str) -> int:
    """Read a count of tokens, or raise ``BadRow``."""
    value = number(text, what)
    if value != int(value):
        raise BadRow(f"{what} is {text!r}, not a whole number")
    return int(value)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value] # reads bytes
