"""The kinds of answer that can be asked for, one file each.

Whoever handles answers without caring what they are asks here. A task's file has its type of
answer (with a tag of its own, which stands for it on the wire), which options a request may have,
when two answers agree, how one is scored against a truth, and how it is written: as JSON, and in
one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shared.tasks import classify, generate, tag
from shared.tasks.base import TASKS, Exemplar, Options, Request, Task, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "TASKS",
    "Answer",
    "Exemplar",
    "Options",
    "Request",
    "Task",
    "agrees",
    "answer_bytes",
    "check",
    "from_json",
    "label_of",
    "score",
    "shorten",
    "size_of",
    "to_json",
    "to_line",
]

Answer = classify.Label | tag.Entities | generate.Completion
"""What a model said: the union of every task's type of answer."""
_TASK_OF: Final[dict[type[Answer], Any]] = {
    classify.Label: classify,
    tag.Entities: tag,
    generate.Completion: generate,
}
_SERVED: Final[dict[Task, Any]] = {"classify": classify, "tag": tag, "generate": generate}


def check(task: Task, options: Options) -> None:
    """Raise ``InvalidPrompt`` for options that the task does not have, or nobody could follow."""
    if options:
        _SERVED[task].check(options)


def answer_bytes(task: Task, text: str, options: Options) -> int:
    """Return the room that an answer takes at most, as a rule; 0: less than was asked."""
    return int(_SERVED[task].answer_bytes(text, options))


def agrees(one: Answer, other: Answer) -> bool:
    """Say whether two answers mean the same; those of different tasks never do."""
    return type(one) is type(other) and bool(_TASK_OF[type(one)].agrees(one, other))


def label_of(answer: Answer) -> str:
    """Return the label that an answer gives; empty for an answer that is more than a label."""
    return answer.label if isinstance(answer, classify.Label) else ""


def score(answer: Answer, truth: str) -> float:
    """Return how right an answer is, from 0 to 1."""
    return float(_TASK_OF[type(answer)].score(answer, truth))


def to_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as fields of a JSON object."""
    fields: dict[str, Any] = _TASK_OF[type(answer)].to_json(answer)
    return fields


def from_json(task: Task, fields: Mapping[str, Any]) -> Answer:
    """Return the answer that ``to_json`` wrote.

    Raises ``KeyError`` when its fields are not there, or there is no such task, and
    ``msgspec.ValidationError`` when they hold something else.
    """
    answer: Answer = _SERVED[task].from_json(fields)
    return answer


def to_line(answer: Answer) -> str:
    """Return an answer in one line, for people."""
    return str(_TASK_OF[type(answer)].to_line(answer))


def shorten(answer: Answer, over_bytes: int) -> Answer | None:
    """Return an answer that is shorter by so many bytes, or None: only text can be cut."""
    return generate.shorten(answer, over_bytes) if isinstance(answer, generate.Completion) else None
