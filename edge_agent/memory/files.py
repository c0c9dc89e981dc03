"""The memory of an edge that is not running, by its files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from edge_agent.memory.desk import MemoryDesk
from edge_agent.memory.memory import Memory
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.store import FILE, MemoryStore
from shared.errors import StoreError
from shared.runtimes.onnx_embedder import OnnxEmbedder
from shared.storage.state_dir import state_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@contextlib.asynccontextmanager
async def reading(path: Path, embedder: str = "") -> AsyncIterator[MemoryDesk]:
    """Read the file in a folder, also one that an agent is writing; nothing is to be changed.

    Raises ``StoreError`` where there is none, or one that cannot be read.
    """
    store = MemoryStore.join(_file(path))
    try:
        yield _desk(store, OnnxEmbedder(embedder) if embedder else None)
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def holding(path: Path, embedder: str = "") -> AsyncIterator[MemoryDesk]:
    """Hold the file in a folder, so that it can be changed; ``embedder`` is for what is added.

    Raises ``AgentRunning`` while an agent has it, and ``StoreError`` where there is none, or its
    vectors are of another embedder.
    """
    file = _file(path)
    if not file.exists():
        raise StoreError(f"{file}: there is no such file; has an edge with a memory run here?")
    with state_folder(str(file.parent), "memory"):
        embeds = OnnxEmbedder(embedder) if embedder else None
        if embeds is None:
            store = MemoryStore.reopen(file.parent)
        else:
            store = MemoryStore.open(file.parent, embeds.digest, embeds.dimensions)
        try:
            yield _desk(store, embeds)
        finally:
            await store.close()


def _file(path: Path) -> Path:
    return path / FILE if path.is_dir() else path


def _desk(store: MemoryStore, embedder: OnnxEmbedder | None) -> MemoryDesk:
    # What the agent's own settings keep apart stays so, whatever they are.
    settings = MemorySettings(owners="apart", entries=10_000_000)
    memory = Memory(settings, dimensions=store.dimensions, store=store)
    embed = None if embedder is None else lambda text: embedder.embed([text])[0]
    return MemoryDesk(memory, store, embed)
