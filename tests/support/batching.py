"""Prompts to a batcher."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.tasks import Request
from tests.support.wires import eventually

if TYPE_CHECKING:
    from shared.messages import Scored
    from shared.serving.batcher import Batcher
    from tests.support.fakes import LookupModel

FAR_S = float("inf")


async def ask(
    batcher: Batcher, text: str, deadline_s: float, priority: int = 0, origin: str = ""
) -> Scored:
    """Have one text classified."""
    request = Request("classify", text)
    return await batcher.solve(request, deadline_s=deadline_s, priority=priority, origin=origin)


async def held(batcher: Batcher, model: LookupModel, text: str = "first") -> asyncio.Task[Scored]:
    """Let the model begin on one prompt and hold it there."""
    model.hold()
    asked = asyncio.create_task(ask(batcher, text, FAR_S))
    await eventually(lambda: model.busy, "the model has begun")
    return asked
