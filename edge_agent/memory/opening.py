"""A memory is opened with an agent and closed with it: its embedder, its file, its thread."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from edge_agent.memory.store import MemoryStore
from edge_agent.memory.wing import Wing
from shared.runtimes.onnx_embedder import OnnxEmbedder
from shared.storage.state_dir import state_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_agent.memory.settings import MemorySettings


@contextlib.asynccontextmanager
async def opened(settings: MemorySettings, state: str) -> AsyncIterator[Wing]:
    """Load the embedder and what is remembered, for as long as the context lasts.

    Raises ``BundleError``, ``StoreError``, ``SettingsError``, or ``AgentRunning`` when another
    process has the memory.
    """
    embedder = OnnxEmbedder(settings.embedder)
    async with contextlib.AsyncExitStack() as closing:
        folder = closing.enter_context(state_folder(settings.folder or state, "memory"))
        store = MemoryStore.open(folder, embedder.digest, embedder.dimensions)
        closing.push_async_callback(store.close)
        wing = Wing(settings, embedder, store)
        closing.push_async_callback(wing.close)
        yield wing
