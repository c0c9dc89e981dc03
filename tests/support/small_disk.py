"""A disk that is really small: a tmpfs of a few hundred kilobytes, where we may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def small_disk(folder: Path, *, kilobytes: int) -> Iterator[Path]:
    """Mount a disk of this size on ``folder``; skip the test, saying so, where that is refused."""
    folder.mkdir()
    options = f"size={kilobytes}k,mode=700,uid={os.getuid()},gid={os.getgid()}"
    if not _ran("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        assert _ran("umount", str(folder))


def fill(folder: Path) -> Path:
    """Fill the disk to its last byte and return the file that does it."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    return ballast


def _ran(*words: str) -> bool:
    command = words if os.getuid() == 0 else ("sudo", "-n", *words)
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False
