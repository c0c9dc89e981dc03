"""How fast an outbox accepts prompts, beside what its disk can do. Prints a table; no test.

``python -m tests.support.outbox_speed [FOLDER]``: a folder on the disk in question.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click

from device_agent.delivery.outbox_file import OutboxFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

ASKERS: Final = (1, 20, 200)
PROMPTS: Final = 4_000
PAYLOAD, RESULT = bytes(300), bytes(80)


def syncs_per_second(folder: Path) -> float:
    """Append 300 bytes and sync, again and again: what a file costs without a database."""
    file, count = os.open(folder / "appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 500
    begin_s = time.perf_counter()
    for _ in range(count):
        os.write(file, PAYLOAD)
        os.fdatasync(file)
    elapsed_s = time.perf_counter() - begin_s
    os.close(file)
    return count / elapsed_s


async def measure(folder: Path | None, askers: int) -> str:
    """Accept prompts, then settle and forget them, and return a line of the table."""
    outbox = OutboxFile.open(folder, f"device-{askers}", limit_bytes=64 << 20)
    ids = [[uuid4() for _ in range(PROMPTS // askers)] for _ in range(askers)]
    waits_s: list[float] = []

    async def accept(mine: list[UUID]) -> None:
        for prompt_id in mine:
            begin_s = time.perf_counter()
            await outbox.store(prompt_id, PAYLOAD)
            waits_s.append(time.perf_counter() - begin_s)

    async def resolve(mine: list[UUID]) -> None:
        for prompt_id in mine:
            await outbox.resolve(prompt_id, RESULT)
            outbox.forget(prompt_id)

    begin_cpu_s, begin_bytes, begin_s = time.process_time(), _written_bytes(), time.perf_counter()
    await asyncio.gather(*map(accept, ids))
    accepts = PROMPTS / (time.perf_counter() - begin_s)
    accept_commits = outbox.journal.commits
    await asyncio.gather(*map(resolve, ids))
    cpu_us = (time.process_time() - begin_cpu_s) / PROMPTS * 1e6
    kibibytes = (_written_bytes() - begin_bytes) / PROMPTS / 1024
    await outbox.close()
    at = _quantiles_of(waits_s)
    return (
        f"{'memory' if folder is None else 'disk':<7} {askers:>6} {accepts:>10.0f} "
        f"{at(0.5) * 1e3:>7.2f} {at(0.99) * 1e3:>7.2f} {accept_commits / PROMPTS:>14.3f} "
        f"{cpu_us:>14.0f} {kibibytes:>14.1f}"
    )


def _quantiles_of(values: list[float]) -> Callable[[float], float]:
    ordered = sorted(values)
    return lambda quantile: ordered[int(quantile * (len(ordered) - 1))]


def _written_bytes() -> int:
    """Return what this process has sent to disks so far, by the kernel's account (Linux)."""
    lines = Path("/proc/self/io").read_text(encoding="utf-8").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def main() -> None:
    """Print the table."""
    parent = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        click.echo(
            f"{platform.machine()}, Python {platform.python_version()}, "
            f"SQLite {sqlite3.sqlite_version}, append and sync {syncs_per_second(folder):.0f}/s\n"
            "store   askers  accepts/s  p50 ms  p99 ms  commits/accept  CPU us/prompt  KiB/prompt"
        )
        for askers in ASKERS:
            click.echo(asyncio.run(measure(folder, askers)))
        click.echo(asyncio.run(measure(None, 20)))


if __name__ == "__main__":
    main()
