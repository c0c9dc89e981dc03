"""Stands where a model was that had to go before the next one is there, and turns prompts away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.errors import ServerAway
from shared.runtimes import labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Model
    from shared.runtimes.model import Entry
    from shared.tasks import Request

_WHY: Final = "the model is exchanged for one that has no room beside it"


class AbsentModel:
    """No model: whoever asks is told to ask another agent, for the same tasks and labels."""

    digest = ""

    def __init__(self, before: Model) -> None:
        self.name = before.name
        self.tasks = before.tasks
        self.labels = labels_of(before)

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Turn every request away; none has begun."""
        return [ServerAway(_WHY) for _ in requests]

    def close(self) -> None:
        """Let go of nothing."""
