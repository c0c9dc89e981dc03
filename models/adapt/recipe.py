"""Every number of an adaptation, and its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from shared.tasks import Exemplar  # noqa: TC001 - msgspec reads rows by it

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.tasks import Task


class AdaptRow(NamedTuple):
    """A question and what the model is to say to it: a text, or one of its labels.

    ``examples`` are shown before the question, to a model that writes.
    """

    text: str
    answer: str
    examples: tuple[Exemplar, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AdaptRecipe:
    """How a model is adapted.

    ``new_rows``, ``old_rows`` and ``shown_rows`` are drawn for each step from the rows that are
    new, from those that are known already and from those with an example; the rate rises over
    ``warmup_steps`` and falls to nothing by a cosine.
    """

    steps: int
    rank: int = 32
    learning_rate: float = 2e-3
    new_rows: int = 32
    old_rows: int = 28
    shown_rows: int = 0
    warmup_steps: int = 30
    checkpoint_steps: int = 50
    gradient_norm_max: float = 1.0
    threads: int = 1
    seed: int = 0
    instruction: str = ""


@dataclass(frozen=True, kw_only=True)
class AdaptRows:
    """What is learned of which task; ``shown`` are the rows with an example."""

    task: Task
    new: Sequence[AdaptRow]
    old: Sequence[AdaptRow]
    shown: Sequence[AdaptRow] = ()
