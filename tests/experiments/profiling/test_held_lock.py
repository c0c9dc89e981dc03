"""How long the interpreter's lock is held, however many others want the processor."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.profiling.held_lock import held_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOMENT_S = 0.2


def _sleep() -> None:
    time.sleep(MOMENT_S)


def _count() -> None:
    """Hold the lock: it changes hands between steps of Python, and this is one."""
    sum(range(8_000_000))


@pytest.fixture
def busy() -> Iterator[None]:
    """Twice as many processes that compute as there are processors."""
    line = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(line) for _ in range(2 * (os.cpu_count() or 1))]
    time.sleep(0.5)
    yield
    for other in others:
        other.kill()
        other.wait()


def share(work: Callable[[], None], clock: Callable[[], float]) -> float:
    begun_s = clock()
    held = held_s(work)
    return held / (clock() - begun_s)


@pytest.mark.alone
@pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="this system counts no waits"
)
@pytest.mark.usefixtures("busy")
def test_work_that_sleeps_holds_nothing_and_work_that_counts_holds_the_lock_all_the_time() -> None:
    assert sorted(share(_sleep, time.perf_counter) for _ in range(5))[2] < 0.2
    assert sorted(share(_count, time.thread_time) for _ in range(5))[2] > 0.8
