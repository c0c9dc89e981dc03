"""The edge of the studies: what it remembers it learns, and what it learned its memory lets go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.memory.entries import Entry
from edge_agent.memory.store import MemoryStore
from experiments.nights.edge import StudiedEdge
from tests.support.tiny_nights import write_learner

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("onnxruntime_genai")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


async def test_what_was_learned_leaves_the_memory_and_the_rest_counts_a_night(
    tmp_path: Path,
) -> None:
    learner = write_learner(tmp_path / "learner")
    edge = StudiedEdge(tmp_path / "edge", learner.model)
    await edge.remember(
        Entry(
            id=number,
            task="generate",
            wordings=town.questions(),
            answer=town.river,
            created_s=0.0,
            used_s=0.0,
            state="stable",
        )
        for number, town in enumerate(learner.new, start=1)
    )
    assert edge.model == str(learner.bundle)
    edge.order(learner.settings())
    outcome = await edge.night()

    assert outcome.verdict == "passed", outcome
    assert edge.model == str(edge.nights.bundle(1))
    store = MemoryStore.open(tmp_path / "edge", "none", 8)
    left = {entry.id: entry.nights for entry in store.load().entries}
    await store.close()
    numbers = range(1, len(learner.new) + 1)
    assert left == {number: 1 for number in numbers if number not in outcome.learned}
