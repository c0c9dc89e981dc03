"""A table on a terminal of any width loses no figure and no heading."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from experiments.grid import Grid, print_grid

LABEL = "quantile beta=0.3 window_prompts=10000 ties=draw"
WIDE = Grid(
    "Side by side: a title that is longer than a small screen is wide",
    ("what was tried", "first run", "second run", "95 % interval", "beyond noise", "[p99], ms"),
    [
        (LABEL, "1,234.567", "+0.001", "-9 … 9", "no", "12,345.6"),
        ("keep", "0.000", "–", "-0.125 … +0.125", "too little to say", "1.0"),
    ],
    noticed=frozenset({1}),
)


def printed(grid: Grid, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_grid(console, grid)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 48, 60, 80, 100, 200])
def test_every_figure_and_heading_is_there_whole(width: int) -> None:
    lines = printed(WIDE, width)

    said = "\n".join(lines)
    assert "…\n" not in said
    assert max(map(len, lines)) <= width
    figures = [cell for row in WIDE.rows for cell in row[1:] if " " not in cell]
    headings = [word for column in WIDE.columns for word in column.split()]
    for whole in (*figures, *headings):
        assert re.search(rf"(?<!\S){re.escape(whole)}(?!\S)", said), whole


def test_a_table_that_fits_is_one_and_a_wider_one_goes_on_below() -> None:
    assert sum("what was tried" in line for line in printed(WIDE, 120)) == 1
    narrow = printed(WIDE, 44)
    assert sum("what was tried" in line for line in narrow) > 1
    assert sum("keep" in line for line in narrow) > 1


words = st.text("abcdef0123.,%", min_size=1, max_size=12)


@given(st.integers(40, 130), st.data())
def test_no_word_of_a_table_is_lost(width: int, data: st.DataObject) -> None:
    columns = data.draw(st.lists(words, min_size=2, max_size=9))
    row = st.tuples(*[words] * len(columns))
    rows = data.draw(st.lists(row, min_size=1, max_size=5))

    said = printed(Grid("t", columns, rows), width)

    shown = [word for line in said for word in line.split()]
    for whole in (*columns, *(cell for row in rows for cell in row)):
        assert whole in shown
