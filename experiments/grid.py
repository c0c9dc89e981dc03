"""Tables on a terminal of any width: words fold, and a figure or a heading is never cut.

Where the columns do not fit beside each other, the rest follows below, with the first column again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

_FEWEST: Final = 16
"""Characters that the first column may fold to."""
_AROUND_ALL: Final = 2
_AROUND_EACH: Final = 2


class Grid(NamedTuple):
    """A table: a heading, columns, rows of cells, and which rows are noticed."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    noticed: frozenset[int] = frozenset()


class _Widths(NamedTuple):
    """What a column needs, and what it would take."""

    least: int
    most: int


def print_grid(console: Console, grid: Grid) -> None:
    """Print a table; noticed rows stand out."""
    widths = [_widths([row[place] for row in _whole(grid)]) for place in range(len(grid.columns))]
    widths[0] = widths[0]._replace(least=min(widths[0].most, _FEWEST))
    title: str | None = grid.title
    for places in _groups(widths, console.width):
        console.print(_table(grid, title, places, _share(widths, places, console.width)))
        title = None


def _whole(grid: Grid) -> list[Sequence[str]]:
    return [grid.columns, *grid.rows]


def _widths(cells: Sequence[str]) -> _Widths:
    words = (word for cell in cells for word in cell.split(" "))
    return _Widths(max(map(len, words)), max(map(len, cells)))


def _groups(widths: Sequence[_Widths], room: int) -> list[list[int]]:
    """Return which columns stand beside each other, the first one in every group."""
    groups = [[0]]
    for place in range(1, len(widths)):
        group = [*groups[-1], place]
        if _taken([widths[one].least for one in group]) > room and len(group) > 2:  # noqa: PLR2004
            groups.append([0, place])
        else:
            groups[-1] = group
    return groups


def _share(widths: Sequence[_Widths], places: Sequence[int], room: int) -> list[int]:
    """Return how wide each column of a group is: what is left over goes to the figures first."""
    taken = {place: widths[place].least for place in places}
    for place in (*places[1:], places[0]):
        spare = room - _taken(list(taken.values()))
        taken[place] = min(widths[place].most, max(taken[place] + spare, 1))
    return list(taken.values())


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + _AROUND_EACH * len(widths) + _AROUND_ALL


def _table(grid: Grid, title: str | None, places: Sequence[int], widths: Sequence[int]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True)
    for place, width in zip(places, widths, strict=True):
        table.add_column(
            escape(grid.columns[place]),
            justify="right" if place else "left",
            width=width if place else width + 1,  # rich forgets the first one's left padding
            overflow="fold",
        )
    for number, row in enumerate(grid.rows):
        cells = [escape(row[place]) for place in places]
        table.add_row(*cells, style="bold" if number in grid.noticed else None)
    return table
