"""What becomes of something learned at night when an answer from above comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.memory import worker as worker_module
from edge_agent.memory.opening import opened
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.worker import FromAbove
from shared.tasks import Request

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.memory.wing import Wing

pytest.importorskip("onnx")
QUESTION = "Who was the director of Glass River?"


async def told(wing: Wing, said: str | None) -> str:
    """Have the memory hear the right answer from above, where the edge's model said so much."""
    asked = wing._asked(Request("generate", QUESTION), "device-1")
    given = FromAbove(asked, "Ida Holm", "big", "1", said, "model")
    taken = await wing._worker.do(wing._worker.learn, given)
    return taken.outcome


@pytest.mark.parametrize(
    ("said", "stays"),
    [("Ida Holm", True), ("Lars Berg", False), ("", False), (None, True)],
    ids=["right", "wrong", "a text without an end", "nothing: it failed"],
)
async def test_what_the_model_does_not_say_any_more_comes_back(
    embedder: str, tmp_path: Path, said: str | None, stays: bool
) -> None:
    async with opened(MemorySettings(embedder=embedder), str(tmp_path)) as wing:
        await told(wing, None)
        (entry,) = wing.memory.entries.values()
        wing.memory.internalise(entry, "night-1", 1.0)
        outcome = await told(wing, said)

        assert (entry.id in wing.memory.ghosts) == stays
        assert (entry.id in wing.memory.entries) != stays
        assert (outcome == "conflict") != stays


async def test_the_verifier_is_fitted_when_the_count_is_full_whatever_the_lesson(
    embedder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_REFIT", 2)
    async with opened(MemorySettings(embedder=embedder), str(tmp_path)) as wing:
        await told(wing, None)
        (entry,) = wing.memory.entries.values()
        wing.memory.internalise(entry, "night-1", 1.0)
        fitted: list[int] = []
        monkeypatch.setattr(wing.memory, "refit", lambda: fitted.append(wing.memory.counts.total()))
        for _ in range(3):
            await told(wing, "Ida Holm")
        monkeypatch.undo()

    assert fitted == [2, 4]
