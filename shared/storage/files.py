"""Files that are replaced: whoever looks finds the old one or the new one, never half of either."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(
    path: Path, content: bytes, *, mode: int = 0o644, durable: bool = True
) -> None:
    """Write a file in one step, with this mode whatever the umask.

    It is written beside its place and renamed; if ``durable``, it is on the disk before that, so
    that a power cut leaves one or the other too. Raises ``OSError``, and then leaves the old one.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
