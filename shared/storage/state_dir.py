"""The folder for what must outlive an agent's process, held by one process at a time.

The operating system lets go of the lock when its holder dies, however it dies, so no stale lock is
ever in the way. The file stays: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import AgentRunning, SettingsError
from shared.storage.files import lock_alone

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def state_folder(path: str, agent: str) -> Iterator[Path | None]:
    """Hold an agent's state folder as long as the context lasts; None if the path is empty.

    It is made if it is missing. Raises ``SettingsError`` when that cannot be done and
    ``AgentRunning`` when another process runs as the same agent on it.
    """
    if not path:
        yield None
        return
    folder = Path(path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"state: {folder} cannot be made ({error.strerror})") from error
    with hold(folder / f"{agent}.lock"):
        yield folder


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file of an agent, ``{agent}.lock``, for as long as the context lasts.

    Raises ``AgentRunning`` that names the file and the process that holds it, ``SettingsError``
    when the file cannot be opened.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        _lock(lock, path)
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def holder_of(folder: Path, agent: str) -> int | None:
    """Return the process that holds an agent's lock in its state folder; None if none does.

    Raises ``SettingsError`` when the file cannot be read.
    """
    path = folder / f"{agent}.lock"
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be opened ({error.strerror}); run this as the agent's user, or as root"
        ) from error
    try:
        # A process number in a file proves nothing; the lock does.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(lock)
    finally:
        os.close(lock)
    return None


def _read_holder(lock: int) -> int | None:
    held = os.pread(lock, 20, 0).strip()
    return int(held) if held.isdigit() else None


def _lock(lock: int, path: Path) -> None:
    try:
        lock_alone(lock)
    except BlockingIOError as error:
        holder = _read_holder(lock) or "unknown"
        agent = path.name.removesuffix(".lock")
        raise AgentRunning(
            f"another process runs as {agent!r} (pid {holder}, lock {path}); "
            "stop it, or give this one another name"
        ) from error
