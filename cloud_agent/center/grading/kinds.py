"""The kinds of job: how each is asked, what its answer is as a task, and how it is graded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cloud_agent.center.grading import (
    emotion,
    entities,
    label,
    question,
    sql,
    summary,
    sums,
    translation,
)
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.tasks import Task


class Kind(NamedTuple):
    """One kind of job.

    ``instruction`` stands before the text, once, where a language model is asked; a classifier gets
    the text alone. ``tokens`` is how long an answer is expected to be.
    """

    name: str
    task: Task
    instruction: str
    tokens: float
    grader: Callable[[str, tuple[str, ...]], float]

    def prompt(self, text: str) -> str:
        """Return what a model is given for a text."""
        return f"{self.instruction}\n\n{text}" if self.instruction else text


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("label", "classify", "", 1.0, label.grade),
        Kind(
            "emotion",
            "generate",
            "Which emotion does this text express? Answer with one word of this list: "
            f"{', '.join(emotion.LABELS)}.",
            24.0,
            emotion.grade,
        ),
        Kind(
            "entities",
            "generate",
            'List the named entities of this sentence as JSON: [{"text": "…", "type": "…"}], with '
            f"the types {', '.join(entities.TYPES)}. Answer with the list alone.",
            32.0,
            entities.grade,
        ),
        Kind(
            "question",
            "generate",
            "Answer this question with as few words as possible.",
            40.0,
            question.grade,
        ),
        Kind(
            "sum",
            "generate",
            "Solve this step by step. End with the number alone in a line of its own.",
            160.0,
            sums.grade,
        ),
        Kind(
            "translation",
            "generate",
            "Translate this into English. Answer with the translation alone.",
            48.0,
            translation.grade,
        ),
        Kind(
            "summary",
            "generate",
            "Summarise this text in one or two sentences.",
            128.0,
            summary.grade,
        ),
        Kind(
            "sql",
            "generate",
            "Write one query in SQLite's SQL that answers this question about these tables. Answer "
            "with the query alone.",
            64.0,
            sql.grade,
        ),
    )
}


def kind_named(name: str) -> Kind:
    """Return a kind by its name. Raises ``DataError`` where there is none."""
    try:
        return KINDS[name]
    except KeyError:
        raise DataError(
            f"there is no kind of job {name!r}; the kinds are {', '.join(KINDS)}"
        ) from None


def grade(kind: str, answer: str, references: Sequence[str]) -> float:
    """Return how right an answer is, from 0 to 1.

    Raises ``DataError`` where there is nothing to hold it against: that is no right answer.
    """
    if not any(reference.strip() for reference in references):
        raise DataError(f"a job of kind {kind!r} has no reference answer; name at least one")
    return kind_named(kind).grader(answer, tuple(references))
