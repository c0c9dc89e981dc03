"""Agents, batchers and slots that run while a test does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.serving.batcher import Batcher
from shared.serving.slot import ModelSlot
from tests.support.bench import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shared.runtimes import Model
    from tests.support.fakes import LookupModel
    from tests.support.slots import Opened


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """An edge agent on the memory bus."""
    made = await Bench().start()
    yield made
    await made.close()


@pytest.fixture
async def batching() -> AsyncIterator[Callable[..., Batcher]]:
    """Makes running batchers and closes them."""
    made: list[tuple[Batcher, LookupModel]] = []

    def make(model: LookupModel, batch_prompts: int = 8, queue_prompts: int = 100) -> Batcher:
        batcher = Batcher(model, batch_prompts=batch_prompts, queue_prompts=queue_prompts)
        batcher.start()
        made.append((batcher, model))
        return batcher

    yield make
    for batcher, model in made:
        model.release()
        await batcher.close()


@pytest.fixture
async def slots() -> AsyncIterator[Callable[..., Opened]]:
    """Makes slots before running batchers, and closes both as an agent does."""
    made: list[Opened] = []

    def make(model: Model, **options: Any) -> Opened:
        around = options.get("around", lambda model: model)
        batcher = Batcher(around(model), batch_prompts=4, queue_prompts=10_000)
        slot = ModelSlot(model, batcher, **{"exchanged": lambda _, __: None, **options})
        batcher.start()
        made.append((slot, batcher))
        return slot, batcher

    yield make
    for slot, batcher in made:
        await batcher.close()
        slot.close()
