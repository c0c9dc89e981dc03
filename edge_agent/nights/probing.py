"""Asking a model, by day, for some of what it learned at night: what it has lost comes back.

What was learned has left the memory, and nobody compares answers that the edge is sure of. So a few
of the ghosts are asked about each day, in the wording that no night teaches, and the archive says
what is right.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from edge_agent.memory.answers import text_of
from edge_agent.nights.plan import row_of
from shared.errors import Busy, Expired, PromptError, Stopping
from shared.tasks import Request

if TYPE_CHECKING:
    from edge_agent.memory.entries import Entry
    from edge_agent.memory.wing import Wing
    from shared.serving.solver import ModelRunner

_PATIENCE_S: Final = 60.0
_AFTER_OTHERS: Final = -1
"""Its priority."""


async def probe_ghosts(wing: Wing, runner: ModelRunner, share: float) -> tuple[int, int]:
    """Ask a share of what was learned, one after another; return how much, and how much was lost.

    The model is asked past the memory, and only when nobody else asks it; once it has no time, that
    was all: whoever waits for the end of this has more to do.
    """
    asked = lost = 0
    for entry in await wing.to_probe(share):
        if entry.task not in runner.tasks:
            continue
        try:
            said = await _said(runner, entry)
        except (Busy, Expired, Stopping):
            break
        except PromptError:
            continue
        asked += 1
        lost += not await wing.probed(entry, said)
    return asked, lost


async def _said(runner: ModelRunner, entry: Entry) -> str:
    """Return what the model answers. Raises ``PromptError``."""
    request = Request(entry.task, row_of(entry, entry.task).probe)
    deadline_s = time.monotonic() + _PATIENCE_S
    scored = await runner.solve(request, deadline_s=deadline_s, priority=_AFTER_OTHERS)
    return text_of(scored.answer)
