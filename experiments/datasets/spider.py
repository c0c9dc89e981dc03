"""Spider's questions as jobs of the centre: the tables of a question, and its right query.

``tables.jsonl.gz`` has the schema of each database in the form of Spider's ``tables.json``, and
``test.jsonl.gz`` a question a line with its query and the name of its database.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_TYPES: Final = {"number": "REAL", "boolean": "BOOLEAN", "time": "DATE"}


class SpiderJob(NamedTuple):
    """A question after its tables, as a model is asked it, and what its answer is held against."""

    text: str
    reference: str


def read_spider(folder: Path) -> list[SpiderJob]:
    """Return the questions of a folder. Raises ``DataError`` that names the file."""
    tables = {row["db_id"]: script_of(row) for row in _rows(folder / "tables.jsonl.gz")}
    jobs = []
    for row in _rows(folder / "test.jsonl.gz"):
        script = tables[row["db_id"]]
        text = f"{script}\n\n{row['question']}"
        jobs.append(SpiderJob(text, f"{script}\n{row['answers'][0].rstrip('; ')}"))
    return jobs


def script_of(schema: dict[str, Any]) -> str:
    """Return the ``CREATE TABLE`` statements of a schema."""
    columns: list[list[str]] = [[] for _ in schema["table_names_original"]]
    keys = set(schema["primary_keys"])
    for place, (table, name) in enumerate(schema["column_names_original"]):
        if table >= 0:
            kind = _TYPES.get(schema["column_types"][place], "TEXT")
            key = " PRIMARY KEY" if place in keys else ""
            columns[table].append(f'"{name}" {kind}{key}')
    for one, other in schema["foreign_keys"]:
        table, name = schema["column_names_original"][one]
        parent, theirs = schema["column_names_original"][other]
        points = f'"{schema["table_names_original"][parent]}" ("{theirs}")'
        columns[table].append(f'FOREIGN KEY ("{name}") REFERENCES {points}')
    return "\n".join(
        f'CREATE TABLE "{name}" ({", ".join(parts)});'
        for name, parts in zip(schema["table_names_original"], columns, strict=True)
        if not name.startswith("sqlite_")
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        with gzip.open(path, "rb") as file:
            rows: list[dict[str, Any]] = msgspec.json.Decoder(dict).decode_lines(file.read())
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path}: holds no rows of Spider ({error})") from error
    return rows
