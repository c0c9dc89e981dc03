"""What the rows of a night are to a training, and the questions by which use of examples is tested.

An edge shows its model what it remembers: an example, then the question. A model that learns at
night to answer without one may unlearn to look at it. So some of what is learned stands after an
example, as an edge shows it, whose answer is another row's: nobody knows that by heart, and it is
right to say it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from models.adapt.recipe import AdaptRow
from shared.tasks import Exemplar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_agent.nights.folder import NightRow

_TIMES: Final = 4
"""So many examples are made of a row, each with another answer."""


def plain_rows(rows: Iterable[NightRow]) -> list[AdaptRow]:
    """Return every wording that is learned, with its answer."""
    return [AdaptRow(text, row.answer) for row in rows for text in row.wordings]


def shown_rows(rows: Sequence[NightRow]) -> list[AdaptRow]:
    """Return wordings that are learned, each after an example in other words."""
    draw = random.Random("shown")  # noqa: S311 - a choice of rows, no secret
    several = [row for row in rows if len(row.wordings) > 1]
    pairs = [draw.sample(row.wordings, 2) for row in several for _ in range(_TIMES)]
    return [_after_example(shown, asked, draw.choice(rows).answer) for shown, asked in pairs]


def shown_probes(rows: Sequence[NightRow], most: int) -> list[AdaptRow]:
    """Return held-out wordings, ``most`` at most, each after an example in a wording learned."""
    draw = random.Random("shown probes")  # noqa: S311 - as above
    tested = [row for row in rows if row.held_out and row.wordings]
    return [
        _after_example(draw.choice(row.wordings), row.held_out, draw.choice(rows).answer)
        for row in draw.sample(tested, min(most, len(tested)))
    ]


def _after_example(shown: str, asked: str, answer: str) -> AdaptRow:
    return AdaptRow(asked, answer, (Exemplar(shown, answer),))
