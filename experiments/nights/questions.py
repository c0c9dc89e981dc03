"""What a bundle says to questions of facts, and how much of it is right."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.memory.fast_path import agree
from experiments.nights.base import copy_row
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Request
from shared.tasks.generate import Completion
from shared.telemetry.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.hotspot.facts import HotFact
    from models.adapt.recipe import AdaptRow

_TOGETHER: Final = 16
_OPTIONS: Final = {"max_new_tokens": 24}


class Share(NamedTuple):
    """So many right answers, of so many questions."""

    right: int
    of: int

    @property
    def value(self) -> float:
        """The share of right answers."""
        return self.right / self.of

    def __str__(self) -> str:
        """Return it in percent, with its 95 % interval of Wilson's."""
        low, high = wilson(self.right, self.of)
        return f"{self.value:.1%} [{low:.1%}, {high:.1%}]"


def served(bundle: Path) -> ModelSettings:
    """Return the settings by which a bundle is served here."""
    return ModelSettings(source=str(bundle), runtime="genai", threads=1)


def share_right(bundle: Path, asked: Sequence[tuple[str, str]]) -> Share:
    """Return how many questions a bundle answers as given."""
    said = _ask(bundle, [Request("generate", text, _OPTIONS) for text, _ in asked])
    return _share([agree(answer, text) for (_, answer), text in zip(asked, said, strict=True)])


def share_copied(bundle: Path, rows: Sequence[AdaptRow]) -> Share:
    """Return how many questions are answered as the example before them says."""
    requests = [Request("generate", row.text, _OPTIONS, examples=row.examples) for row in rows]
    said = _ask(bundle, requests)
    return _share([agree(row.answer, text) for row, text in zip(rows, said, strict=True)])


def copies_of(facts: Sequence[HotFact], answers: Sequence[str]) -> list[AdaptRow]:
    """Return a question of each fact after an example that says one of the answers."""
    draw = random.Random("copied")  # noqa: S311 - a choice of rows, no secret
    return [copy_row(fact, draw.choice(answers), draw) for fact in facts]


def _ask(bundle: Path, requests: Sequence[Request]) -> list[str]:
    model = load_model(served(bundle))
    try:
        entries = [
            entry
            for start in range(0, len(requests), _TOGETHER)
            for entry in model.answer(requests[start : start + _TOGETHER])
        ]
    finally:
        model.close()
    return [
        entry.answer.text
        if isinstance(entry, Scored) and isinstance(entry.answer, Completion)
        else ""
        for entry in entries
    ]


def _share(right: Sequence[bool]) -> Share:
    return Share(sum(right), len(right))
