"""What a question brought to mind, and how that reads to the router: pure but for the vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_agent.memory.fast_path import is_short
from edge_agent.memory.router import Situation

if TYPE_CHECKING:
    from edge_agent.memory.entries import Ghost
    from edge_agent.memory.index import Vector
    from edge_agent.memory.retriever import Recalled
    from edge_agent.memory.standing import Standing
    from edge_agent.memory.wording import Question
    from shared.tasks import Task

SAME: Final = 0.97
"""So likely one question that an answer from above is a second opinion on the entry's."""
_USUAL_HELP: Final = 0.9
NO_VECTOR: Final[Vector] = np.empty(0, np.float32)
"""Of a question that was found by its words: nothing can be learned with it."""


class Recall(NamedTuple):
    """A question with its vector, the candidates that are like it, the likeliest first, a ghost."""

    question: Question
    vector: Vector
    task: Task
    owner: str
    candidates: list[Recalled]
    ghost: Ghost | None

    @property
    def best(self) -> Recalled | None:
        """The likeliest candidate that may be used; none where the likeliest is put aside."""
        doubted = self.candidates and self.candidates[0].entry.state == "quarantined"
        if doubted and self.candidates[0].same >= SAME:
            return None
        return next(iter(self.usable), None)

    @property
    def usable(self) -> list[Recalled]:
        """The candidates whose answers nobody contradicts."""
        return [each for each in self.candidates if each.entry.state != "quarantined"]


def situation_of(
    recall: Recall,
    standing: Standing,
    *,
    cloud: float = 0.93,
    cloud_open: bool = True,
    examples: bool = True,
) -> Situation:
    """Return what the router goes by; ``examples`` says whether the edge's model reads any."""
    best, kind, ghost = recall.best, recall.question.masked, recall.ghost
    edge = ghost.chance if ghost else standing.lower("edge", kind)
    if best is None:
        return Situation(
            ghost=ghost is not None,
            edge=edge,
            cloud=cloud,
            cloud_open=cloud_open,
        )
    helps = best.entry.chance_helps * standing.chance("examples", kind) / _USUAL_HELP
    return Situation(
        same=best.same,
        exact=best.exact,
        stable=best.entry.state == "stable",
        short=is_short(best.entry.answer),
        ghost=ghost is not None,
        good_examples=sum(not each.likeness.guard for each in recall.candidates),
        direct=best.same * best.entry.chance_ok,
        examples=min(1.0, best.same * helps) if examples else None,
        edge=edge,
        cloud=cloud,
        cloud_open=cloud_open,
    )
