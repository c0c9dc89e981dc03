"""Processes of the suite that are still there: what a test started and did not see to its end.

A process is the suite's when it descends from it, or when the suite's folder stands in its
environment: that stays with a process that lost its parent or began a session of its own.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path

VARIABLE = "SUITE_FOLDER"
"""Put into the environment of the suite, so that whatever inherits it carries the folder."""
_END_S = 5.0


def left_over(folder: Path, suite: int) -> dict[int, str]:
    """Return the command lines, by process id, of what process ``suite`` has started."""
    parents, ours = {}, set()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
            state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z":
                continue
            parents[int(place.name)] = int(parent)
            if os.fsencode(f"{folder}/") in _environment(place):
                ours.add(int(place.name))
    ours |= {pid for pid in parents if suite in _ancestors(pid, parents)}
    ours -= {suite, *_ancestors(suite, parents)}
    return {pid: _command(pid) for pid in sorted(ours)}


def end(pid: int) -> None:
    """Kill a process and return when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            select.select([process], [], [], _END_S)
        finally:
            os.close(process)


def _ancestors(pid: int, parents: dict[int, int]) -> list[int]:
    found = []
    while (pid := parents.get(pid, 0)) > 0:
        found.append(pid)
    return found


def _environment(place: Path) -> bytes:
    with contextlib.suppress(PermissionError):
        return (place / "environ").read_bytes()
    return b""


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        return b" ".join(words).decode(errors="replace")
    return "already gone"
