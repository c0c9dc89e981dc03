"""Show how far a long step is: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINES = 20


@contextmanager
def progress(label: str, steps: int) -> Iterator[Callable[[str], None]]:
    """Yield a function to call once after each of `steps` steps with a short note."""
    if sys.stderr.isatty():
        yield from _bar(label, steps)
    else:
        yield from _lines(label, steps)


def _bar(label: str, steps: int) -> Iterator[Callable[[str], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}")) as bar:
        task = bar.add_task(label, total=steps, note="")
        yield lambda note: bar.update(task, advance=1, note=note)


def _lines(label: str, steps: int) -> Iterator[Callable[[str], None]]:
    started_s = time.monotonic()
    every = max(1, steps // _LINES)
    done = 0

    def advance(note: str) -> None:
        nonlocal done
        done += 1
        if done % every == 0 or done == steps:
            elapsed_s = time.monotonic() - started_s
            print(f"{label} {done}/{steps} {elapsed_s:.0f} s {note}", file=sys.stderr, flush=True)

    yield advance
