"""A long piece of work as a process of its own, which an agent waits for and can end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from shared.errors import cut

if TYPE_CHECKING:
    from pathlib import Path

_GRACE_S: Final = 5.0


async def run_apart(module: str, folder: Path, *more: str) -> str:
    """Run ``python -m module folder …`` to its end; return how it ended, for people.

    What it says goes to ``log`` in the folder; cancelled, this ends it. It is for the module to
    give way to whoever else wants the processor.
    """
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module, str(folder), *more),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)
    return f"its process ended with {process.returncode}{_last_line(folder / 'log')}"


async def _end(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GRACE_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {cut(lines[-1])}" if lines else ""
