"""How long a model's queue stands still while its model is exchanged. Prints figures; no test.

``python -m tests.support.exchange_pause [BUNDLE]``: by default the edge's. The queue is never
empty, and batches hold 16 prompts.
"""

from __future__ import annotations

import asyncio
import math
import os
import platform
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click

from shared.runtimes import ModelSettings, labels_of, load_model
from shared.serving.batcher import Batcher
from shared.serving.slot import ModelSlot
from shared.tasks import Request
from shared.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.runtimes import Entry, Model

BUNDLE = Path(__file__).parents[2] / "models" / "bundles" / "sentiment-edge"
EXCHANGES, IN_HAND, BATCH = 20, 64, 16
TEXT = "the soup was cold and the waiter slow, but the view from the window made up for it"


class Batch(NamedTuple):
    """When a batch began and ended, and which model ran it."""

    began_s: float
    ended_s: float
    model: int


class Timed:
    """A model that notes when it runs."""

    def __init__(self, model: Model, batches: list[Batch]) -> None:
        self._model, self._batches = model, batches
        self.name, self.digest = model.name, model.digest
        self.tasks, self.labels = model.tasks, labels_of(model)

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does."""
        began_s = time.perf_counter()
        answers = self._model.answer(requests)
        self._batches.append(Batch(began_s, time.perf_counter(), id(self)))
        return answers

    def close(self) -> None:
        """Close the model."""
        self._model.close()


async def measure(bundle: str) -> None:
    """Exchange a bundle for itself again and again under full load, and print what that costs."""
    settings, batches = ModelSettings(source=bundle), list[Batch]()

    def around(model: Model) -> Model:
        return Timed(model, batches)

    model = load_model(settings)
    batcher = Batcher(around(model), batch_prompts=BATCH, queue_prompts=IN_HAND)
    slot = ModelSlot(model, batcher, around=around, exchanged=lambda _, __: None)
    batcher.start()

    async def ask_on() -> None:
        while True:
            await batcher.solve(Request("classify", TEXT), deadline_s=math.inf)

    asking = [asyncio.create_task(ask_on()) for _ in range(IN_HAND)]
    await asyncio.sleep(2.0)
    alone, begin_s = len(batches), time.perf_counter()
    memory = [_memory_megabytes()]
    for _ in range(EXCHANGES):
        await slot.exchange(lambda: load_model(settings))
        memory.append(_memory_megabytes())
    elapsed_s = time.perf_counter() - begin_s
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await batcher.close()
    slot.close()
    _print(batches[10:alone], batches[alone:], elapsed_s, memory)


def _print(alone: list[Batch], loading: list[Batch], elapsed_s: float, memory: list[float]) -> None:
    batch_ms = _milliseconds(batch.ended_s - batch.began_s for batch in alone)
    beside_ms = _milliseconds(batch.ended_s - batch.began_s for batch in loading)
    pairs = list(pairwise(loading))
    flips = _milliseconds(b.began_s - a.ended_s for a, b in pairs if a.model != b.model)
    gaps = _milliseconds(b.began_s - a.ended_s for a, b in pairs if a.model == b.model)
    usual = median(batch_ms)
    click.echo(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    click.echo(f"batches of {BATCH}: median {usual:.2f} ms, longest {max(batch_ms):.2f} ms")
    click.echo(
        f"beside a load:  median {median(beside_ms):.2f} ms, longest {max(beside_ms):.2f} ms"
    )
    click.echo(
        f"between two batches of one model: median {median(gaps):.2f} ms, longest {max(gaps):.2f}"
    )
    click.echo(f"between the last batch of one and the first of the next ({len(flips)} exchanges):")
    click.echo(
        f"  median {median(flips):.2f} ms, {median(flips) / usual:.2f} of a batch; "
        f"longest {max(flips):.2f} ms, {max(flips) / usual:.2f} of a batch"
    )
    click.echo(
        f"an exchange took {elapsed_s / len(flips) * 1000:.0f} ms, loading and probing included"
    )
    click.echo(f"memory: {memory[0]:.0f} MB before, most {max(memory):.0f}, last {memory[-1]:.0f}")


def _milliseconds(seconds: Iterable[float]) -> list[float]:
    return [second * 1000 for second in seconds]


def _memory_megabytes() -> float:
    """Return what this process has in memory now."""
    with Path("/proc/self/statm").open(encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    log.silence()
    asyncio.run(measure(sys.argv[1] if len(sys.argv) > 1 else str(BUNDLE)))
