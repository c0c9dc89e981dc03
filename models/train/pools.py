"""Rows of about one length together, in an order fixed by a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

_GROUPS_PER_POOL: Final = 50


class _Tokenised(Protocol):
    @property
    def ids(self) -> Sequence[int]: ...


_Row = TypeVar("_Row", bound=_Tokenised)


def shuffled_groups(
    rows: Sequence[_Row],
    rng: random.Random,
    pool_rows: int,
    cut: Callable[[Sequence[_Row]], list[list[_Row]]],
) -> list[list[_Row]]:
    """Every row once: pools of ``pool_rows`` at random, by length, each ``cut`` into groups."""
    order = list(rows)
    rng.shuffle(order)
    groups: list[list[_Row]] = []
    for start in range(0, len(order), pool_rows):
        groups += cut(sorted(order[start : start + pool_rows], key=lambda row: len(row.ids)))
    rng.shuffle(groups)
    return groups


def groups_of(rows: Sequence[_Row], rows_per_group: int, rng: random.Random) -> list[list[_Row]]:
    """Every row once, in groups of ``rows_per_group``, the last of a pool of fewer."""

    def cut(pool: Sequence[_Row]) -> list[list[_Row]]:
        starts = range(0, len(pool), rows_per_group)
        return [list(pool[start : start + rows_per_group]) for start in starts]

    return shuffled_groups(rows, rng, rows_per_group * _GROUPS_PER_POOL, cut)
