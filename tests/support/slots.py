"""A slot before a batcher, and who asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.serving.batcher import Batcher
from shared.serving.slot import ModelSlot
from shared.tasks import Request, to_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.runtimes import Model


FAR_S = float("inf")


Opened = tuple[ModelSlot, Batcher]


async def ask(batcher: Batcher, text: str = "hello") -> str:
    """Return which model answered."""
    scored = await batcher.solve(Request("classify", text), deadline_s=FAR_S)
    return to_line(scored.answer)


def loading(model: Model) -> Callable[[], Model]:
    return lambda: model
