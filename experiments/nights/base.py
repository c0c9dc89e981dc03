"""The model that learns: it knows popular facts, can use an example, and nothing else.

It is trained here from nothing (``models.train.writer``), so that what it did not know before a
night is known for certain. Examples are of made-up answers, so that it learns to look at them.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console

from experiments.hotspot.facts import generate
from models.adapt.recipe import AdaptRow
from models.pack.generator import GeneratorRequest, pack_generator
from models.train.writer import WriterSchedule, WriterShape, train_writer
from shared.tasks import Exemplar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.hotspot.facts import HotFact

POPULAR: Final = 200
SHAPE: Final = WriterShape(vocabulary=1_200, width=128, heads=4, layers=2, positions=128)
SCHEDULE: Final = WriterSchedule(steps=600, rows=48)
_COPIED: Final = 0.15
"""Of the rows, so many show an example."""


class StudyBase(NamedTuple):
    """The model as transformers reads it, its bundle, what it knows, and what it does not."""

    folder: Path
    bundle: Path
    known: list[HotFact]
    unknown: list[HotFact]


def make_base(folder: Path, unknown: int, *, seed: int = 3) -> StudyBase:
    """Train and pack it, unless that lies in the folder already; ``unknown`` facts are left out."""
    facts = generate(POPULAR + unknown, seed)
    known = facts[:POPULAR]
    if not (folder / "bundle" / "bundle.yaml").exists():
        texts = [text for fact in facts for text in (*fact.wordings(), fact.answers[0])]
        train_writer(_rows(known, facts, seed), texts, SHAPE, SCHEDULE, folder / "model")
        request = GeneratorRequest(
            source=str(folder / "model"),
            out=folder / "bundle",
            name="facts",
            precision="float32",
            prompts=tuple(fact.wordings()[0] for fact in known[:32]),
        )
        pack_generator(request, Console(quiet=True))
    return StudyBase(folder / "model", folder / "bundle", known, facts[POPULAR:])


def _rows(known: Sequence[HotFact], facts: Sequence[HotFact], seed: int) -> list[AdaptRow]:
    draw = random.Random(f"copies {seed}")  # noqa: S311 - a choice of rows, no secret
    rows = [AdaptRow(text, fact.answers[0]) for fact in known for text in fact.wordings()]
    answers = [fact.answers[0] for fact in facts]
    copies = round(len(rows) * _COPIED / (1 - _COPIED))
    return rows + [copy_row(draw.choice(facts), draw.choice(answers), draw) for _ in range(copies)]


def copy_row(fact: HotFact, answer: str, draw: random.Random) -> AdaptRow:
    """Return a question after an example that answers it in other words."""
    shown, asked = draw.sample(fact.wordings(), 2)
    return AdaptRow(asked, answer, (Exemplar(shown, answer),))
