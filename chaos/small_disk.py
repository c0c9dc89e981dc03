"""A disk that is really small, and really full: a tmpfs, where we may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BALLAST = "ballast"
_BLOCK_BYTES = 4_096


class NoSmallDisk(Exception):
    """The machine does not let us mount one."""


def mount(folder: Path, *, kilobytes: int) -> None:
    """Mount a disk of this size on a new folder. Raises ``NoSmallDisk``."""
    folder.mkdir()
    options = f"size={kilobytes}k,mode=700,uid={os.getuid()},gid={os.getgid()}"
    if not _ran("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        folder.rmdir()
        raise NoSmallDisk("needs the right to mount a small disk")


def unmount(folder: Path) -> None:
    """Take the disk away, with what is on it."""
    _ran("umount", str(folder))


def fill(folder: Path) -> None:
    """Fill the disk to its last byte."""
    with (
        contextlib.suppress(OSError),
        (folder / _BALLAST).open("ab", buffering=0) as ballast,
    ):
        while True:
            ballast.write(bytes(_BLOCK_BYTES))


def clear(folder: Path) -> None:
    """Make room again."""
    (folder / _BALLAST).unlink()


def _ran(*words: str) -> bool:
    command = words if os.getuid() == 0 else ("sudo", "-n", *words)
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own words
    return False
