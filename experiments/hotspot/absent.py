"""How often an answer to another question is given when half of what is asked for is not there.

The hardest case for a memory: every second question has no entry, and thousands of others are like
it. A plain threshold on the cosine stands beside the verifier as it is shipped, which has learned
rewordings on facts that are not asked for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.memory.memory import Memory
from edge_agent.memory.settings import MemorySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.hotspot.facts import HotFact
    from shared.runtimes.onnx_embedder import OnnxEmbedder

_LEAST: Final = 0.90
_NOW_S: Final = 1_800_000_000.0


class AbsentReport(msgspec.Struct, kw_only=True):
    """Shares of all questions, of which half have no entry; recall is of the other half."""

    questions: int
    false_reuse: float
    recall: float


def half_absent(facts: Sequence[HotFact], embedder: OnnxEmbedder) -> dict[str, AbsentReport]:
    """Return what plain thresholds do, and what the verifier does."""
    third = len(facts) // 3
    learned, present, absent = facts[:third], facts[third : 2 * third], facts[2 * third : 3 * third]
    memory = Memory(MemorySettings(entries=10 * len(facts)), dimensions=embedder.dimensions)
    _learn(memory, learned, embedder, range(4))
    memory.refit()
    _learn(memory, present, embedder, range(1))
    numbers = {fact.wordings()[0]: fact.number for fact in facts}
    asked = [
        (fact, fact.wordings()[1 + place % 3]) for place, fact in enumerate([*present, *absent])
    ]
    rows: list[tuple[bool, bool, float, float]] = []
    for (fact, text), vector in zip(asked, embedder.embed([t for _, t in asked]), strict=True):
        recall = memory.recall(text, vector, _NOW_S)
        nearest = max(recall.candidates, key=lambda each: each.likeness.cosine)
        best = recall.candidates[0]
        rows.append(
            (
                numbers.get(nearest.entry.question) == fact.number,
                numbers.get(best.entry.question) == fact.number,
                nearest.likeness.cosine,
                best.same,
            )
        )
    near_right, best_right, cosines, same = (np.array(column) for column in zip(*rows, strict=True))
    found = {
        f"threshold {least:.2f}": _count(cosines >= least, near_right, len(present))
        for least in (0.80, 0.90, 0.95)
    }
    return {**found, "verifier": _count(same >= _LEAST, best_right, len(present))}


def _learn(
    memory: Memory, facts: Sequence[HotFact], embedder: OnnxEmbedder, wordings: range
) -> None:
    texts = [(fact, fact.wordings()[place]) for place in wordings for fact in facts]
    for (fact, text), vector in zip(texts, embedder.embed([t for _, t in texts]), strict=True):
        memory.learn(memory.recall(text, vector, _NOW_S), fact.answers[0], _NOW_S)


def _count(reused: np.ndarray, right: np.ndarray, present: int) -> AbsentReport:
    return AbsentReport(
        questions=len(reused),
        false_reuse=float((reused & ~right).mean()),
        recall=float((reused & right).sum() / present),
    )
