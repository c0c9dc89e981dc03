"""A query is right by what it gives, and nothing that an answer says can do any harm."""

from __future__ import annotations

import os
import resource
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from cloud_agent.center.grading import sql
from experiments.datasets.spider import read_spider, script_of
from shared.errors import DataError

TABLES = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, age INT, country TEXT);
CREATE TABLE concert (id INTEGER PRIMARY KEY, singer_id INT, year INT,
    FOREIGN KEY (singer_id) REFERENCES singer (id));
"""


def right(query: str, wanted: str) -> bool:
    return sql.grade(query, (f"{TABLES}{wanted}",)) == 1.0


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("select COUNT(id) from singer;", "SELECT count(*) FROM singer"),
        ("```sql\nSELECT age, name FROM singer\n```", "SELECT name, age FROM singer"),
        ("SELECT name FROM singer WHERE age >= 31", "SELECT name FROM singer WHERE age > 30"),
        (
            "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM concert)",
            "SELECT T.name FROM singer AS T JOIN concert AS C ON T.id = C.singer_id GROUP BY T.id",
        ),
        ("SELECT name FROM singer ORDER BY id", "SELECT name FROM singer"),
    ],
)
def test_another_way_to_the_same_rows_is_right(query: str, wanted: str) -> None:
    assert right(query, wanted)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("SELECT name FROM singer WHERE age > 30", "SELECT name FROM singer WHERE age >= 30"),
        ("SELECT id FROM singer WHERE name = 'Ada'", "SELECT id FROM singer WHERE name = 'Ben'"),
        ("SELECT DISTINCT country FROM singer", "SELECT country FROM singer"),
        ("SELECT name FROM singer", "SELECT name FROM singer ORDER BY age"),
        ("SELECT name, age FROM singer WHERE age < 0", "SELECT name FROM singer WHERE age < 0"),
        ("SELECT max(year) FROM concert", "SELECT min(year) FROM concert"),
        ("SELECT nothing FROM singer", "SELECT name FROM singer"),
        ("I would count the singers.", "SELECT count(*) FROM singer"),
        ("", "SELECT count(*) FROM singer"),
    ],
)  # fmt: skip
def test_other_rows_are_wrong(query: str, wanted: str) -> None:
    assert not right(query, wanted)


@pytest.mark.parametrize(
    "hostile",
    [
        "DROP TABLE singer",
        "DELETE FROM singer",
        "SELECT 1; DROP TABLE singer",
        "ATTACH DATABASE 'stolen.db' AS other",
        "PRAGMA writable_schema = 1",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n",
        "SELECT load_extension('evil')",
        "SELECT zeroblob(2000000000)",
        "SELECT hex(zeroblob(150000000)) FROM singer",
        "SELECT randomblob(20000000) FROM singer",
        "```" + " " * 200_000,
        "SELECT 1 " + "+ 1 " * 50_000,
    ],
)
@pytest.mark.timeout(20)
def test_a_query_that_does_harm_or_has_no_end_is_wrong(
    hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert not right(hostile, "SELECT name FROM singer")
    assert not list(tmp_path.iterdir())


def test_no_answer_takes_memory() -> None:
    doubled = "SELECT x || x AS x FROM (" * 30 + "SELECT name AS x FROM singer" + ")" * 30
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for hostile in ("SELECT hex(zeroblob(150000000)) FROM singer", doubled):
        if hostile != doubled or sys.version_info >= (3, 11):
            assert not right(hostile, "SELECT name FROM singer")

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("SELECT 1", "has no tables before its query"),
        ("CREATE TABLE x (y); SELECT z FROM x", "is no query that SQLite answers"),
        ("CREATE TABEL x (y); SELECT y FROM x", "does not run"),
    ],
)
def test_a_reference_that_is_no_script_is_named(script: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        sql.grade("SELECT 1", (script,))


def test_a_schema_of_spider_becomes_tables_with_their_keys() -> None:
    schema = {
        "table_names_original": ["singer", "sqlite_sequence"],
        "column_names_original": [[-1, "*"], [0, "id"], [0, "boss"], [1, "seq"]],
        "column_types": ["text", "number", "number", "text"],
        "primary_keys": [1],
        "foreign_keys": [[2, 1]],
    }

    assert script_of(schema) == (
        'CREATE TABLE "singer" ("id" REAL PRIMARY KEY, "boss" REAL, '
        'FOREIGN KEY ("boss") REFERENCES "singer" ("id"));'
    )


def test_of_spider_every_query_is_right_and_the_next_one_of_its_tables_seldom() -> None:
    folder = os.environ.get("RECSERVE_DATA")
    if not folder:
        pytest.skip("RECSERVE_DATA does not name the folder of the public sets")
    jobs = [job.reference.rpartition(";") for job in read_spider(Path(folder) / "spider")][::9]
    others = [
        sql.grade(other, (f"{tables};{query}",))
        for (tables, _, query), (of, _, other) in pairwise(jobs)
        if tables == of and query != other
    ]

    assert all(sql.grade(query, (f"{tables};{query}",)) == 1.0 for tables, _, query in jobs)
    assert sum(others) <= 0.05 * len(others)
