"""Jobs are read from a file, and what is wrong with one is named by its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloud_agent.center.rounds.job_file import read_jobs
from cloud_agent.center.rounds.ledger import PostedJob
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str) -> Path:
    path = folder / "jobs.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_jobs_have_a_kind_a_text_and_references(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"kind": "question", "text": "who?", "references": ["Ada", "A. Lovelace"]}\n'
        '\n{"kind": "summary", "text": "long"}\n',
    )
    assert read_jobs(path) == [
        PostedJob("question", "who?", ("Ada", "A. Lovelace")),
        PostedJob("summary", "long"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        '{"kind": "question"}',
        '{"kind": "poem", "text": "x"}',
        '{"kind": "label", "text": ""}',
        '{"kind": "label", "text": "x", "reference": "y"}',
        '{"kind": "entities", "text": "Oslo", "references": ["LOC"]}',
        '{"kind": "label", "text": "x", "references": [" "]}',
    ],
)
def test_a_row_that_is_no_job_is_named(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, '{"kind": "label", "text": "x"}\n' + line + "\n")
    with pytest.raises(DataError, match="row 2 is no job"):
        read_jobs(path)


def test_a_file_without_jobs_or_none_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no jobs"):
        read_jobs(written(tmp_path, "\n"))
    with pytest.raises(DataError, match="cannot be read"):
        read_jobs(tmp_path / "nowhere.jsonl")
