"""SQL, as in Spider: a query is right where it gives the rows that the right one gives.

A reference is a script: the tables it is about (``CREATE TABLE ...;``) and, last, a right query.
Real rows are not needed: the tables are filled with drawn ones, several times, and both must agree
on all of them (after the test suites of Zhong et al., 2010.02840). So a query that is right by luck
on one set of rows seldom is on the next; what no drawn rows tell apart still counts as right.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from itertools import permutations
from typing import TYPE_CHECKING, Final, NamedTuple

from cloud_agent.center.grading.sql_rows import fill, literals
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = tuple[object, ...]

_FILLINGS: Final = 8
_MOST_ROWS: Final = 2_000
_MOST_STEPS: Final = 200
"""Of ten thousand instructions of SQLite's machine each."""
_MOST_COLUMNS: Final = 6
"""Of so many, columns may come in another order."""
_MOST_CHARACTERS: Final = 4_000
"""Of a query."""
_MOST_BYTES: Final = 100_000
"""Of one value, or of one row."""
_FENCE: Final = re.compile(r"```(?:sql|sqlite)?(.*?)```", re.IGNORECASE | re.DOTALL)
_INNER: Final = re.compile(r"\([^()]*\)")
_ORDERED: Final = re.compile(r"\border\s+by\b", re.IGNORECASE)
_READS: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
    }
)
# fmt: off
_FUNCTIONS: Final = frozenset(
    {
        "abs", "avg", "coalesce", "count", "date", "datetime", "glob", "ifnull", "iif", "instr",
        "julianday", "length", "like", "lower", "ltrim", "max", "min", "nullif", "round", "rtrim",
        "strftime", "substr", "substring", "sum", "time", "total", "trim", "upper",
    }
)
# fmt: on
"""Of SQLite's, those that are quick and whose values are no longer than what they are given."""


def grade(answer: str, references: tuple[str, ...]) -> float:
    """Return 1.0 for a query that gives the rows of a right one, however it is written.

    Rows count as often as they come, and in their order where the right query has one. Raises
    ``DataError`` for a reference that is no such script.
    """
    query = query_of(answer)
    fits = 0 < len(query) <= _MOST_CHARACTERS
    return float(fits and any(_agrees(query, each) for each in references))


def query_of(answer: str) -> str:
    """Return the query of an answer, without what fences it and without its end."""
    fenced = _FENCE.search(answer)
    return (fenced.group(1) if fenced else answer).strip().rstrip(";").strip()


def _agrees(query: str, script: str) -> bool:
    tables, _, right = script.strip().rstrip(";").rpartition(";")
    if not tables:
        raise DataError(
            f"the reference {script[:80]!r} has no tables before its query; begin with CREATE TABLE"
        )
    ordered = _is_ordered(right)
    return all(_agree_on(tables, query, right, draw, ordered=ordered) for draw in range(_FILLINGS))


def _agree_on(tables: str, query: str, right: str, draw: int, *, ordered: bool) -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(tables)
        fill(connection, literals(right), draw)
        wanted = _run(connection, right)
        given = _run(connection, query)
    except sqlite3.Error as error:
        raise DataError(f"the reference {right.strip()[:80]!r} does not run ({error})") from error
    finally:
        connection.close()
    if wanted is None:
        raise DataError(f"the reference {right.strip()[:80]!r} is no query that SQLite answers")
    return given is not None and _same(given, wanted, ordered=ordered)


class _Given(NamedTuple):
    """What a query gives: how many columns, and the rows."""

    width: int
    rows: list[Row]


def _run(connection: sqlite3.Connection, query: str) -> _Given | None:
    """Return what one query gives; None where it fails, changes anything, or has no end."""
    steps = iter(range(_MOST_STEPS))
    connection.set_authorizer(_allowed)
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    connection.set_progress_handler(lambda: next(steps, None) is None, 10_000)
    try:
        cursor = connection.execute(query)
        rows = [tuple(row) for row in cursor.fetchmany(_MOST_ROWS)]
        return _Given(len(cursor.description or ()), rows)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError):
        return None


def _allowed(action: int, _: str | None, name: str | None, *__: object) -> int:
    """Say whether a query may do a thing: read, and call functions that cost next to nothing."""
    harmless = action == sqlite3.SQLITE_FUNCTION and (name or "").lower() in _FUNCTIONS
    return sqlite3.SQLITE_OK if action in _READS or harmless else sqlite3.SQLITE_DENY


def _same(given: _Given, wanted: _Given, *, ordered: bool) -> bool:
    """Return whether two results are one, whatever the order of their columns."""
    if (given.width, len(given.rows)) != (wanted.width, len(wanted.rows)):
        return False
    as_asked = tuple(range(wanted.width))
    orders = permutations(as_asked) if wanted.width <= _MOST_COLUMNS else [as_asked]
    target = _plain(wanted.rows, as_asked, ordered=ordered)
    return any(_plain(given.rows, order, ordered=ordered) == target for order in orders)


def _plain(rows: Sequence[Row], order: Sequence[int], *, ordered: bool) -> list[Row]:
    plain = [tuple(_value(row[place]) for place in order) for row in rows]
    return plain if ordered else sorted(plain, key=repr)


def _value(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, (int, float)) else value


def _is_ordered(query: str) -> bool:
    """Return whether a query orders its rows itself, and not only inside of a part of it."""
    while (outer := _INNER.sub("", query)) != query:
        query = outer
    return bool(_ORDERED.search(query))
