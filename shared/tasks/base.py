"""What is asked of a model, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import msgspec

Task = Literal["classify", "tag", "generate"]
TASKS: Final[tuple[Task, ...]] = get_args(Task)


class Request(msgspec.Struct, frozen=True):
    """One piece of work for a model: the task, what it is about, and how it is wanted.

    ``options`` are those of the task, by name; a ``classify`` request has none.
    """

    task: Task
    content: str
    options: Mapping[str, Any] = {}
