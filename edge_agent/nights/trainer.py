"""The process that holds a night, as whoever orders it sees it: begun, waited for, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.nights.folder import NightOutcome
from shared.agent.work_process import run_apart
from shared.nodes.lesson_folder import LessonFolder

if TYPE_CHECKING:
    from edge_agent.nights.folder import NightFolder

_MODULE: Final = "recserve.night"


async def train(nights: NightFolder, number: int, *, idle: bool = True) -> NightOutcome:
    """Have a night held in a process of its own, and return what came of it.

    ``idle``: it waits for whoever else wants the processor.

    Cancelled, it stops the process; the night then goes on from its checkpoint when it is held
    again. A process that dies without a word is a failed night. Raises ``StoreError``.
    """
    ended = await run_apart(_MODULE, nights.of(number), *([] if idle else ["--awake"]))
    return nights.outcome(number) or _failed(nights, number, ended)


async def held(nights: NightFolder, number: int) -> NightOutcome | None:
    """Do the same as far as it goes without a training; None: that is what comes next.

    What is to be learned stands in the night's folder then (``shared.nodes.lesson_folder``).
    """
    folder = LessonFolder(nights.of(number))
    ended = await run_apart(_MODULE, nights.of(number))
    outcome = nights.outcome(number)
    if outcome is None and folder.read() is not None and not folder.bundle.exists():
        return None
    return outcome or _failed(nights, number, ended)


def _failed(nights: NightFolder, number: int, why: str) -> NightOutcome:
    outcome = NightOutcome(number=number, verdict="failed", why=why)
    nights.write_outcome(outcome)
    return outcome
