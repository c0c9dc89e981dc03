"""The lines of a text file as people have it: plain or packed, with whatever mark in front.

How a file is packed (gzip, bzip2, xz, zstandard) is told from its first bytes, whatever its name;
so is its encoding: UTF-8, or what a byte order mark says. A line is never longer in memory than
``LONGEST_LINE``, however much a small file unpacks to.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared.errors import DataError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    try:
        from backports import zstd
    except ModuleNotFoundError:
        zstd = None  # type: ignore[assignment, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONGEST_LINE: Final = 1 << 20
"""In characters."""

_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\x00"
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
_ZIP: Final = b"PK\x03\x04"
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BREAKS: Final = (
    *(EOFError, zlib.error, lzma.LZMAError, UnicodeDecodeError, MemoryError),
    *((zstd.ZstdError,) if zstd else ()),
)


class Line(NamedTuple):
    """One line without its end; ``number`` counts from 1."""

    number: int
    text: str


def read_lines(path: Path, fault: Callable[[int, str], None]) -> Iterator[Line]:
    """Yield the lines that are not blank.

    ``fault`` is told the number of a line that is no text, which is left out, and of the one where
    what is packed ends or breaks, after which nothing comes. Raises ``DataError`` for a file that
    cannot be read and for a line that is too long.
    """
    number, form = 0, "file"
    try:
        with path.open("rb") as file:
            form, data = _unpacked(path, file)
            with data, _decoded(data) as text:
                while line := text.readline(LONGEST_LINE):
                    number += 1
                    if len(line) == LONGEST_LINE:
                        raise DataError(
                            f"{path}, line {number}: is longer than {LONGEST_LINE:,} characters; "
                            "write one row a line"
                        )
                    if not _is_text(line):
                        fault(number, "is not UTF-8 text; save the file as UTF-8")
                    elif line.strip():
                        yield Line(number, line.rstrip("\r\n"))
    except _BREAKS as error:
        fault(number + 1, f"cannot be read: the {form} ends or breaks here ({_said(error)})")
    except OSError as error:
        if error.errno is not None:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        fault(number + 1, f"cannot be read: the {form} ends or breaks here ({error})")


def _unpacked(path: Path, file: io.BufferedReader) -> tuple[str, Any]:
    """Return how a file is packed, and a file of the bytes as they were before; it has ``peek``."""
    start = file.peek(len(_XZ))
    if start.startswith(_GZIP):
        return "gzip file", gzip.GzipFile(fileobj=file)
    if start.startswith(_BZIP2):
        return "bzip2 file", bz2.BZ2File(file)
    if start.startswith(_XZ):
        return "xz file", lzma.LZMAFile(file)
    if start.startswith(_ZSTANDARD):
        if zstd is None:
            raise DataError(
                f"{path}: is packed with zstandard, which nothing here reads; "
                'pip install -e ".[zstd]" in a checkout of this project, or unpack it first'
            )
        return "zstandard file", zstd.ZstdFile(file)
    if start.startswith(_ZIP):
        raise DataError(f"{path}: is a zip archive, which may hold many files; unpack it first")
    return "file", file


def _decoded(data: Any) -> io.TextIOWrapper:
    """Return text in which bytes that are none stand as lone surrogates, so that all is read."""
    start = data.peek(len(codecs.BOM_UTF32_LE))
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    kept = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
    return io.TextIOWrapper(data, encoding, errors=kept, newline="\n")


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in line


def _said(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "unpacking it takes more memory than there is"
    if isinstance(error, UnicodeDecodeError):
        return f"not {error.encoding.upper()} text: {error.reason}"
    return str(error)
