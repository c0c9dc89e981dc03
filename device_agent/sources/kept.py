"""Files that a source writes: whole or not at all, whatever becomes of the disk."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def append(path: Path, lines: bytes) -> None:
    """Append whole lines to a file, which is made if it is missing.

    It is opened anew each time, since it may be moved away or removed as any log. Raises
    ``OSError`` and leaves the file as it was.
    """
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        status = os.fstat(fd)
        regular = stat.S_ISREG(status.st_mode)
        if lines and regular and _torn(fd, status.st_size):
            lines = b"\n" + lines
        try:
            write_whole(fd, lines)
        except OSError:
            if regular:
                os.ftruncate(fd, status.st_size)
            raise
    finally:
        os.close(fd)


def write_whole(fd: int, content: bytes) -> None:
    """Write to a file at once; raises ``OSError``, also where only a part of it went in."""
    if os.write(fd, content) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _torn(fd: int, size: int) -> bool:
    """Say whether a power cut left the last line without its end."""
    return size > 0 and os.pread(fd, 1, size - 1) != b"\n"
