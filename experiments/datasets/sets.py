"""Labelled sets as values: their order, their parts, and the labels as a model numbers them.

A set is read once and then only rearranged: every order is a list of row indexes, so that what is
known of a row (``experiments.evaluation.matrix``) can be taken along. Reading is in
``experiments.datasets.read``.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

import msgspec

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.datasets.pairs import PairSet

Order = Literal["given", "shuffled", "by_label"]
"""How a set arrives: as it is, in a seeded random order, or one label after the other."""


class Part(msgspec.Struct, frozen=True):
    """A run of rows that came from one set."""

    name: str
    rows: int


class LabelledSet(msgspec.Struct, frozen=True):
    """Texts, and for each the index of its true label in ``label_names``.

    ``label_names`` is in the order of the model the set was read for. ``parts`` says which rows
    came from which set, in order of arrival; their rows add up to those of the set.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    label_names: tuple[str, ...]
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> LabelledSet:
        """Return a set of these rows in this order, as one part."""
        return LabelledSet(
            self.name,
            tuple(self.texts[row] for row in rows),
            tuple(self.labels[row] for row in rows),
            self.label_names,
            (Part(self.name, len(rows)),),
        )


def order_rows(data: LabelledSet | PairSet, order: Order, seed: int = 0) -> list[int]:
    """Return the row indexes of a set in an order; equal seeds give equal orders.

    Sorting by label keeps the given order among rows of one label.
    """
    rows = list(range(len(data)))
    if order == "shuffled":
        random.Random(seed).shuffle(rows)  # noqa: S311 - an order, not a secret
    elif order == "by_label" and isinstance(data, LabelledSet):
        rows.sort(key=data.labels.__getitem__)
    return rows


def draw_rows(available: int, wanted: int, seed: int) -> list[int]:
    """Return ``wanted`` of ``available`` row indexes, drawn without replacement and ascending."""
    return sorted(random.Random(seed).sample(range(available), wanted))  # noqa: S311 - as above


def concatenate(sets: Sequence[LabelledSet]) -> LabelledSet:
    """Return one set after the other: traffic whose domain shifts.

    Raises ``DataError`` when there is none, or when two name their labels differently.
    """
    if not sets:
        raise DataError("there is no set to put one after another; name at least one")
    first = sets[0]
    for other in sets[1:]:
        if other.label_names != first.label_names:
            raise DataError(
                f"{other.name} has the labels {', '.join(other.label_names)}, but {first.name} has "
                f"{', '.join(first.label_names)}; only sets with the same labels can be joined"
            )
    return LabelledSet(
        "+".join(data.name for data in sets),
        tuple(text for data in sets for text in data.texts),
        tuple(label for data in sets for label in data.labels),
        first.label_names,
        tuple(part for data in sets for part in data.parts),
    )
