"""What a model has lost of what it learned comes back, and what it knows stays learned."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from edge_agent.memory.opening import opened
from edge_agent.memory.settings import MemorySettings
from edge_agent.nights.probing import probe_ghosts
from shared.errors import Busy
from shared.messages import Scored
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.memory.wing import Wing
    from shared.serving.solver import ModelRunner
    from shared.tasks import Request, Task

pytest.importorskip("onnx")
NOW_S = 1_000.0
COUNT = 20


class Knowing:
    """As much of a model's runner as a probe asks: it knows some answers, and may be busy."""

    tasks: frozenset[Task] = frozenset({"generate"})

    def __init__(self, *numbers: int, busy: bool = False) -> None:
        self.asked: list[str] = []
        self._answers = {_question(number): f"maker {number}" for number in numbers}
        self._busy = busy

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        assert (priority, origin) == (-1, "")
        self.asked.append(request.content)
        if self._busy:
            raise Busy("too much to do")
        return Scored(Completion(self._answers.get(request.content, "nobody")), 0.9, 1)


def _question(number: int) -> str:
    return f"Who made the film Glass River {number}?"


def _learned(wing: Wing) -> None:
    """Have the model told to know what so many questions ask, the first asked for most."""
    for number in range(COUNT):
        text = _question(number)
        recall = wing.memory.recall(text, wing._worker.embed(text), NOW_S, task="generate")
        entry = wing.memory.learn(recall, f"maker {number}", NOW_S, model="m", version="1").entry
        assert entry is not None
        entry.hot, entry.hot_s = float(COUNT - number), time.time()
        wing.memory.internalise(entry, "night-1", 1.0)


async def test_what_it_has_lost_comes_back(embedder: str, tmp_path: Path) -> None:
    async with opened(MemorySettings(embedder=embedder), str(tmp_path)) as wing:
        _learned(wing)
        runner = Knowing(*range(1, COUNT))
        counted = await probe_ghosts(wing, _runner(runner), 1.0)

        assert counted == (COUNT, 1)
        assert [entry.question for entry in wing.memory.entries.values()] == [_question(0)]
        assert len(wing.memory.ghosts) == COUNT - 1


async def test_of_what_is_drawn_the_most_asked_for_is_probed(embedder: str, tmp_path: Path) -> None:
    async with opened(MemorySettings(embedder=embedder), str(tmp_path)) as wing:
        _learned(wing)
        runner = Knowing()
        assert await probe_ghosts(wing, _runner(runner), 0.2) == (4, 4)

        assert runner.asked == [_question(number) for number in range(4)]


async def test_a_model_that_has_no_time_loses_nothing_and_is_asked_no_more(
    embedder: str, tmp_path: Path
) -> None:
    async with opened(MemorySettings(embedder=embedder), str(tmp_path)) as wing:
        _learned(wing)
        runner = Knowing(busy=True)

        assert await probe_ghosts(wing, _runner(runner), 1.0) == (0, 0)
        assert len(wing.memory.ghosts) == COUNT
        assert runner.asked == [_question(0)]


def _runner(runner: Knowing) -> ModelRunner:
    return runner  # type: ignore[return-value] # as much of one as is asked for
