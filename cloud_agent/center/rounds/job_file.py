"""Jobs from a file: JSON, one a line, ``{"kind": …, "text": …, "references": […]}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from cloud_agent.center.grading import grade, kind_named
from cloud_agent.center.rounds.ledger import PostedJob
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    text: Annotated[str, Meta(min_length=1)]
    references: tuple[Annotated[str, Meta(min_length=1)], ...] = ()


def read_jobs(path: Path) -> list[PostedJob]:
    """Read a file of jobs. Raises ``DataError`` naming the row that is wrong.

    Raises ``RuntimeUnavailable`` where a kind takes a grader that is not installed.
    """
    jobs = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read = msgspec.json.decode(line, type=_Line)
            kind_named(read.kind)
            if read.references:  # what cannot be graded is found now, not when an answer is there
                grade(read.kind, read.references[0], read.references)
        except (msgspec.DecodeError, UnicodeDecodeError, DataError) as error:
            raise DataError(f"{path}: row {number} is no job: {error}") from error
        jobs.append(PostedJob(read.kind, read.text, read.references))
    if not jobs:
        raise DataError(f"{path}: has no jobs; write one a line, as JSON")
    return jobs
