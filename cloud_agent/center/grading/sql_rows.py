"""Rows that are drawn for empty tables, so that queries can be told apart by what they give."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_ROWS: Final = (3, 14, 60)
"""Few in one filling and many in another: "more than ten" wants eleven."""
_WORDS: Final = ("ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine")
_TEXT: Final = re.compile(r"'((?:[^']|'')*)'|\"([^\"]*)\"")
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_NUMBERS: Final = ("int", "num", "real", "floa", "doub", "dec")
_NAMED: Final = 0.4
"""Of values, how many are what the right query names, where it names any."""
_EMPTY: Final = 0.05


class Literals(NamedTuple):
    """The texts and numbers that a query names."""

    texts: tuple[str, ...]
    numbers: tuple[float, ...]


class _Column(NamedTuple):
    name: str
    type: str
    key: bool
    parent: tuple[str, str] | None


def literals(query: str) -> Literals:
    """Return what a query names; of a number those beside it too, so that "more than" is told."""
    texts = [(one or two).strip("%") for one, two in _TEXT.findall(query)]
    numbers = [float(found) for found in _NUMBER.findall(_TEXT.sub("", query))]
    return Literals(tuple(texts), tuple(n + step for n in numbers for step in (-1, 0, 1)))


def fill(connection: sqlite3.Connection, named: Literals, seed: int) -> None:
    """Fill every table of a database, each key with a row of the table that it points to."""
    draw = random.Random(f"rows {seed}")  # noqa: S311 - guards nothing
    tables = {name: _columns(connection, name) for name in _tables(connection)}
    known: dict[tuple[str, str], list[object]] = {}
    connection.execute("PRAGMA foreign_keys = OFF")
    for table in _parents_first(tables):
        columns = tables[table]
        marks = ", ".join("?" * len(columns))
        for number in range(draw.randint(_ROWS[0], _ROWS[1 + seed % 2])):
            row = [_draw(column, number, known, named, draw) for column in columns]
            done = connection.execute(f'INSERT OR IGNORE INTO "{table}" VALUES ({marks})', row)  # noqa: S608 - names of the script itself
            if done.rowcount:
                for column, value in zip(columns, row, strict=True):
                    known.setdefault((table.casefold(), column.name.casefold()), []).append(value)


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [name for (name,) in found if not name.startswith("sqlite_")]


def _columns(connection: sqlite3.Connection, table: str) -> list[_Column]:
    points = {
        row[3].casefold(): (row[2].casefold(), (row[4] or row[3]).casefold())
        for row in connection.execute(f'PRAGMA foreign_key_list("{table}")')
    }
    return [
        _Column(name, kind.casefold(), bool(key), points.get(name.casefold()))
        for _, name, kind, _, _, key in connection.execute(f'PRAGMA table_info("{table}")')
    ]


def _parents_first(tables: dict[str, list[_Column]]) -> list[str]:
    """Return the tables so that each stands behind those it points to, as far as that goes."""
    rest, placed = list(tables), list[str]()
    while rest:
        there = {name.casefold() for name in placed}
        free = [
            name
            for name in rest
            if all(
                column.parent is None or column.parent[0] in there | {name.casefold()}
                for column in tables[name]
            )
        ]
        placed += free or rest[:1]
        rest = [name for name in rest if name not in placed]
    return placed


def _draw(
    column: _Column,
    number: int,
    known: dict[tuple[str, str], list[object]],
    named: Literals,
    draw: random.Random,
) -> object:
    """Return a value for a column of the row of this number."""
    if column.parent is not None and known.get(column.parent):
        return draw.choice(known[column.parent])
    numeric = any(column.type.startswith(kind) for kind in _NUMBERS)
    if column.key:
        return number + 1 if numeric else _key(number, list(dict.fromkeys(named.texts)))
    if draw.random() < _EMPTY:
        return None
    pool: Sequence[object] = named.numbers if numeric else named.texts
    if pool and draw.random() < _NAMED:
        return draw.choice(pool)
    return draw.randint(0, 99) if numeric else _text(column.type, draw)


def _key(number: int, texts: Sequence[str]) -> str:
    """Return a text that no other row has."""
    return texts[number] if number < len(texts) else f"{_WORDS[number % len(_WORDS)]} {number}"


def _text(kind: str, draw: random.Random) -> object:
    if kind.startswith("bool"):
        return draw.randint(0, 1)
    if kind.startswith(("date", "time")):
        return f"20{draw.randint(0, 23):02}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    return f"{draw.choice(_WORDS)} {draw.choice(_WORDS)}"
