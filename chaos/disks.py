"""Disks that are really small, really full, and that really stand still, where we may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_BALLAST = "ballast"
_BLOCK_BYTES = 4_096
_IMAGE_KILOBYTES: Final = 32 << 10


class NoDisk(Exception):
    """The machine does not let us mount one."""


class Disk(NamedTuple):
    """A disk for the state of all agents of one role: a small one, or one that can be frozen."""

    role: Literal["device", "edge", "cloud"]
    kilobytes: int = 512
    freezes: bool = False

    def mount(self, folder: Path) -> None:
        """Mount it on a new folder. Raises ``NoDisk``."""
        folder.mkdir()
        mounted = self._mount_image(folder) if self.freezes else self._mount_memory(folder)
        if not mounted:
            folder.rmdir()
            raise NoDisk("needs the right to mount a disk")

    def _mount_memory(self, folder: Path) -> bool:
        options = f"size={self.kilobytes}k,mode=700,uid={os.getuid()},gid={os.getgid()}"
        return _ran("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))

    def _mount_image(self, folder: Path) -> bool:
        """Mount a file with a file system: only such a one can be frozen."""
        image = folder.with_suffix(".image")
        with image.open("wb") as file:
            file.truncate(_IMAGE_KILOBYTES << 10)
        owner = f"root_owner={os.getuid()}:{os.getgid()}"
        made = _ran("mkfs.ext4", "-q", "-E", owner, str(image))
        return made and _ran("mount", "-o", "loop", str(image), str(folder))


def unmount(folder: Path) -> None:
    """Take a disk away, with what is on it."""
    _ran("umount", str(folder))


def freeze(folder: Path) -> None:
    """Let the disk stand still: whoever writes waits, and gets no error. Raises ``NoDisk``."""
    if not _ran("fsfreeze", "--freeze", str(folder)):
        raise NoDisk("needs the right to freeze a disk")


def thaw(folder: Path) -> None:
    """Let the disk go on."""
    _ran("fsfreeze", "--unfreeze", str(folder))


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
