"""What a process is like that works at night: it gives way to others, and it ends in time."""

from __future__ import annotations

import contextlib
import os
import sys
from threading import Timer


def become_idle() -> None:
    """Have this process run only when nobody else would."""
    os.nice(19)
    with contextlib.suppress(AttributeError, OSError):  # where the system has no such class
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def end_after(limit_s: float, key: str) -> None:
    """Have this process end itself when the time passed that a key names, whatever it is at."""

    def end() -> None:
        sys.stderr.write(f"{key} passed, which is {limit_s:g} s\n")
        sys.stderr.flush()
        os._exit(1)

    timer = Timer(limit_s, end)
    timer.daemon = True
    timer.start()
