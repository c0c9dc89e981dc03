"""Moves a file into a folder below its own, with what is to be said of it beside it.

Nothing is overwritten: a name that is there already gets a number. Names are bytes to the system
and may be as long as it lets them; here they are text as Python makes it of them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from device_agent.sources.kept import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BESIDE = ".json"


class Taken(NamedTuple):
    """A file as it lay there, and what tells it from a later one of its name."""

    name: str
    mode: int
    device: int
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, folder: int, name: str) -> Taken:
        """Look at a file without following a link; raises ``OSError``."""
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return cls(
            name,
            status.st_mode,
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
        )


@contextlib.contextmanager
def opened(folder: Path | str, *, below: int | None = None) -> Iterator[int]:
    """Open a folder; one that lies below another must not be a link. Raises ``OSError``."""
    number = os.open(folder, _FOLDER | (os.O_NOFOLLOW if below is not None else 0), dir_fd=below)
    try:
        yield number
    finally:
        os.close(number)


def put_away(path: Path, taken: Taken, below: str, said: bytes) -> bool:
    """Move a file of a folder to one below, ``said`` beside it; False if it is not there any more.

    Raises ``OSError`` and leaves the file where it is.
    """
    with opened(path) as folder, opened(below, below=folder) as target:
        if not _is_there(folder, taken):
            return False
        name = _claim(target, taken.name, said)
        try:
            os.rename(taken.name, name, src_dir_fd=folder, dst_dir_fd=target)
        except BaseException:
            os.unlink(name + _BESIDE, dir_fd=target)
            raise
        return True


def shown(name: str) -> str:
    """Return a name as text that can be printed, whatever its bytes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _is_there(folder: int, taken: Taken) -> bool:
    try:
        return Taken.of(folder, taken.name) == taken
    except FileNotFoundError:
        return False


def _claim(target: int, name: str, said: bytes) -> str:
    """Write what is said beside a name that nothing has; return that name."""
    room_bytes = os.fpathconf(target, "PC_NAME_MAX") - len(_BESIDE)
    for number in itertools.count(1):
        free = _numbered(name, number, room_bytes)
        if _exists(target, free):
            continue
        with contextlib.suppress(FileExistsError):
            _write(target, free + _BESIDE, said + b"\n")
            return free
    raise AssertionError("there is always another number")


def _numbered(name: str, number: int, room_bytes: int) -> str:
    """Return ``report.txt``, ``report-2.txt``, …, cut short where the system takes no more."""
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    tail = suffix if number == 1 else f"-{number}{suffix}"
    while len(os.fsencode(stem + tail)) > room_bytes:
        stem, tail = (stem[:-1], tail) if stem else (stem, tail[:-1])
    return stem + tail


def _exists(folder: int, name: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    return False


def _write(folder: int, name: str, content: bytes) -> None:
    """Write a new file, whole or not at all."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(name, flags, 0o644, dir_fd=folder)
    try:
        write_whole(fd, content)
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(fd)
