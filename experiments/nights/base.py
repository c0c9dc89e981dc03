"""The model that learns: it knows popular facts, can use an example, and nothing else.

It is trained here from nothing (``models.train.writer``), so that what it did not know before a
night is known for certain. Most of what it is taught are questions after one example, of entities
that come nowhere else and with answers that are made up, in the form in which an edge shows it: so
it learns to look at the example, and cannot learn the answers.
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
SHAPE: Final = WriterShape(vocabulary=1_200, width=128, heads=4, layers=3, positions=128)
SCHEDULE: Final = WriterSchedule(steps=2_500, rows=48, learning_rate=2e-3)
_OTHERS: Final = 6_000
"""Facts of entities that only examples are of."""
_COPIES: Final = 30_000
_COPIED: Final = 0.6
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
        others = _others(facts, seed)
        texts = [text for fact in facts + others for text in (*fact.wordings(), fact.answers[0])]
        train_writer(_rows(known, others, seed), texts, SHAPE, SCHEDULE, folder / "model")
        request = GeneratorRequest(
            source=str(folder / "model"),
            out=folder / "bundle",
            name="facts",
            precision="float32",
            prompts=tuple(fact.wordings()[0] for fact in known[:32]),
        )
        pack_generator(request, Console(quiet=True))
    return StudyBase(folder / "model", folder / "bundle", known, facts[POPULAR:])


def copy_row(fact: HotFact, answer: str, draw: random.Random) -> AdaptRow:
    """Return a question after an example that answers it in other words."""
    shown, asked = draw.sample(fact.wordings(), 2)
    return AdaptRow(asked, answer, (Exemplar(shown, answer),))


def _others(facts: Sequence[HotFact], seed: int) -> list[HotFact]:
    """Return facts of entities of which none of the facts is."""
    taken = {_bare(fact) for fact in facts}
    return [fact for fact in generate(_OTHERS, seed + 1_000) if _bare(fact) not in taken]


def _bare(fact: HotFact) -> str:
    return fact.subject.removeprefix("The ")


def _rows(known: Sequence[HotFact], others: Sequence[HotFact], seed: int) -> list[AdaptRow]:
    draw = random.Random(f"copies {seed}")  # noqa: S311 - a choice of rows, no secret
    rows = [AdaptRow(text, fact.answers[0]) for fact in known for text in fact.wordings()]
    copies = [
        copy_row(draw.choice(others), draw.choice(others).answers[0], draw) for _ in range(_COPIES)
    ]
    times = round(_COPIES * (1 - _COPIED) / _COPIED / len(rows))
    return rows * times + copies
