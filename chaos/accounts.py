"""What agents say of themselves when all is over.

Devices: accepted = answered + pending, and none pending, read from ``/metrics`` as an operator's
monitoring does. All: no traceback in a log.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from experiments.testbed.scrape import samples_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


_MUST_BE_ZERO = ("recserve_unaccounted", "recserve_pending")


async def open_accounts(ports: Mapping[str, int], limit_s: float) -> list[str]:
    """Return a sentence for every device whose accounts are not closed within ``limit_s``."""
    give_up_s = time.monotonic() + limit_s
    while True:
        opened = [
            f"{device}: {name} is {value:g} at the end"
            for device, port in ports.items()
            for name, value in (await asyncio.to_thread(_read, port)).items()
            if value != 0
        ]
        if not opened or time.monotonic() > give_up_s:
            return opened
        await asyncio.sleep(0.2)


async def sent_again(ports: Iterable[int]) -> int:
    """Return how many prompts the devices have sent up once more, all of them together."""
    pages = [await asyncio.to_thread(samples_at, port) for port in ports]
    return int(
        sum(
            sample.value
            for page in pages
            for sample in page
            if sample.name == "recserve_repeats_total" and sample.labels["kind"] == "retry"
        )
    )


def tracebacks(folder: Path) -> list[str]:
    """Return a sentence for every log with an error that nobody had thought of.

    That a model raised is one that somebody had.
    """
    return [
        f"{path.name} holds a traceback"
        for path in sorted(folder.glob("*.log"))
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if "Traceback" in line and "the model raised" not in line
    ]


def _read(port: int) -> dict[str, float]:
    values = {sample.name: sample.value for sample in samples_at(port)}
    return {name: values[name] for name in _MUST_BE_ZERO}
