"""One growing file, read line by line from a place on; it notices when it is another file.

A file is known again by its inode and by what stands at its beginning and just before the place:
an inode is used again, and a file may be cut short and written anew between two looks. Memory is
bounded: a line longer than the limit is passed over, and told.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

_PIECE_BYTES: Final = 1 << 16
_WINDOW_BYTES: Final = 256
_SEARCHED_BYTES: Final = 1 << 20


class FilePosition(msgspec.Struct, frozen=True, array_like=True):
    """The end of a line: in which file, at which byte, and hashes of what stands there."""

    inode: Annotated[int, msgspec.Meta(ge=0)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    head: str
    before: str


class FollowedLine(NamedTuple):
    """One line without its end; ``text`` is cut short after the limit of bytes and one more."""

    text: bytes
    place: FilePosition


class Rewritten(Exception):
    """The file was cut short or written anew: what was read of it is not there any more."""


class Followed:
    """An open regular file and how far it was read."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        """Open a file without waiting for whoever may stand behind it; raises ``OSError``."""
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        self._limit_bytes = limit_bytes
        self._inode = status.st_ino
        self._device = status.st_dev
        self._offset = 0
        self._head = b""
        self._window = b""
        self._partial = b""

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    @property
    def deleted(self) -> bool:
        """Whether no name leads to the file any more."""
        return os.fstat(self._fd).st_nlink == 0

    def is_same(self, status: os.stat_result) -> bool:
        """Say whether this is the file that a path leads to."""
        return (status.st_ino, status.st_dev) == (self._inode, self._device)

    def go_to(self, place: FilePosition, *, any_inode: bool = False) -> bool:
        """Go on at a place, if it is one in this file."""
        if place.inode != self._inode and not any_inode:
            return False
        if os.fstat(self._fd).st_size < place.offset:
            return False
        self._set(place.offset)
        return (place.head, place.before) == (_digest(self._head), _digest(self._window))

    def go_to_start(self) -> None:
        """Begin with the first line."""
        self._set(0)

    def go_to_end(self) -> FilePosition:
        """Begin with the first line that has not ended yet; return that place."""
        size = os.fstat(self._fd).st_size
        begin = max(size - _SEARCHED_BYTES, 0)
        newline = os.pread(self._fd, size - begin, begin).rfind(b"\n")
        self._set(begin + newline + 1 if newline >= 0 or not begin else size)
        return self._place(self._offset, self._window)

    def read(self) -> list[FollowedLine] | None:
        """Return the lines that end in the next piece of the file; None at its end.

        Raises ``Rewritten``, or ``OSError``.
        """
        # What was read before is read again with it, in one call: so both are of the same file.
        known = len(self._window)
        piece = os.pread(self._fd, known + _PIECE_BYTES, self._offset - known)
        head = os.pread(self._fd, len(self._head), 0)
        if piece[:known] != self._window or head != self._head:
            raise Rewritten
        if len(piece) == known:
            return None
        lines = self._lines(piece, known)
        self._offset += len(piece) - known
        self._window = piece[-_WINDOW_BYTES:]
        return lines

    def rest(self) -> FollowedLine | None:
        """Return what stands behind the last line's end, as the line that it will not become."""
        text, self._partial = self._partial, b""
        return FollowedLine(text, self._place(self._offset, self._window)) if text else None

    def _lines(self, piece: bytes, known: int) -> list[FollowedLine]:
        lines, begin = [], known
        if len(self._head) < _WINDOW_BYTES:
            self._head = (self._head + piece[known:])[:_WINDOW_BYTES]
        while (end := piece.find(b"\n", begin) + 1) > 0:
            text = self._partial + piece[begin : end - 1]
            before = piece[max(end - _WINDOW_BYTES, 0) : end]
            lines.append(
                FollowedLine(self._cut(text), self._place(self._offset - known + end, before))
            )
            self._partial, begin = b"", end
        self._partial = self._cut(self._partial + piece[begin:])
        return lines

    def _cut(self, text: bytes) -> bytes:
        return text[: self._limit_bytes + 1]

    def _set(self, offset: int) -> None:
        self._offset = offset
        self._head = os.pread(self._fd, min(offset, _WINDOW_BYTES), 0)
        begin = max(offset - _WINDOW_BYTES, 0)
        self._window = os.pread(self._fd, offset - begin, begin)
        self._partial = b""

    def _place(self, offset: int, before: bytes) -> FilePosition:
        return FilePosition(self._inode, offset, _digest(self._head[:offset]), _digest(before))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
