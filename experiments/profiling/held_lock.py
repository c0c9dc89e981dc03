"""How long a piece of work keeps other threads of Python from running."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def held_s(work: Callable[[], object]) -> float:
    """Return for how many seconds work holds the interpreter's lock.

    A thread that does nothing but compute loses just that time to this one, but for the time that
    it waits for a processor, which other processes may have.
    """
    stop = threading.Event()
    free_s = []

    def compute() -> None:
        begun_s = time.thread_time() + _waited_s()
        while not stop.is_set():
            pass
        free_s.append(time.thread_time() + _waited_s() - begun_s)

    thread = threading.Thread(target=compute)
    thread.start()
    begun_s = time.perf_counter()
    try:
        work()
        took_s = time.perf_counter() - begun_s
    finally:
        stop.set()
        thread.join()
    return max(took_s - free_s[0], 0.0)


def _waited_s() -> float:
    """Return for how long this thread has waited for a processor; 0 where no system says."""
    try:
        said = Path("/proc/thread-self/schedstat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(said.split()[1]) / 1e9
