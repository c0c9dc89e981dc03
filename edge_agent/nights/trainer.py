"""The process that trains, as whoever orders it sees it: begun, waited for, ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from edge_agent.nights.folder import NightOutcome
from shared.errors import cut

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.nights.folder import NightFolder

_MODULE: Final = "recserve.night"
_GRACE_S: Final = 5.0


async def train(nights: NightFolder, number: int, *, idle: bool = True) -> NightOutcome:
    """Have a night held in a process of its own, and return what came of it.

    ``idle``: it waits for whoever else wants the processor.

    Cancelled, it stops the process; the night then goes on from its checkpoint when it is held
    again. A process that dies without a word is a failed night. Raises ``StoreError``.
    """
    folder = nights.of(number)
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", _MODULE, str(folder), *([] if idle else ["--awake"])),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)
    outcome = nights.outcome(number)
    if outcome is None:
        why = f"its process ended with {process.returncode}{_last_line(folder / 'log')}"
        outcome = NightOutcome(number=number, verdict="failed", why=why)
        nights.write_outcome(outcome)
    return outcome


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
