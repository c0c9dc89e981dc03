"""How long a piece of work keeps other threads of Python from running."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def held_s(work: Callable[[], object]) -> float:
    """Return for how many seconds work holds the interpreter's lock.

    A thread that does nothing but compute loses just that time to this one.
    """
    stop = threading.Event()
    computed_s = []

    def compute() -> None:
        begun_s = time.thread_time()
        while not stop.is_set():
            pass
        computed_s.append(time.thread_time() - begun_s)

    thread = threading.Thread(target=compute)
    thread.start()
    begun_s = time.perf_counter()
    try:
        work()
        took_s = time.perf_counter() - begun_s
    finally:
        stop.set()
        thread.join()
    return max(took_s - computed_s[0], 0.0)
