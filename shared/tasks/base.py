"""What is asked of a model, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

import msgspec

from shared.errors import InvalidPrompt

Task = Literal["classify", "tag", "generate"]
TASKS: Final[tuple[Task, ...]] = get_args(Task)
Options: TypeAlias = Mapping[str, Any]
"""How an answer is wanted, by the names of its task's options: plain values, as in JSON."""

_Read = TypeVar("_Read", bound=msgspec.Struct)


class Exemplar(msgspec.Struct, frozen=True):
    """An example: what was asked in a request of the same kind, and its answer."""

    content: str
    answer: str


class Request(msgspec.Struct, frozen=True):
    """One piece of work for a model: the task, what it is about, and how it is wanted.

    ``options`` are those of the task, by name; most ``classify`` requests have none. ``examples``
    are read before the content, the last one next to it, by models that take any
    (``shared.runtimes.model.TakesExamples``); they never travel.
    """

    task: Task
    content: str
    options: Options = {}
    examples: tuple[Exemplar, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of the content and the options; what is no UTF-8 counts as if it were."""
        return size_of(self.content, self.options)


def size_of(text: str, options: Options) -> int:
    """Return what is asked in bytes: the text in UTF-8, and the options if there are any."""
    size = len(text) if text.isascii() else len(text.encode(errors="replace"))
    return size + len(msgspec.msgpack.encode(options)) if options else size


def read_options(task: Task, options: Options, kind: type[_Read]) -> _Read:
    """Return a task's options as their struct. Raises ``InvalidPrompt`` that names the fault."""
    unknown = [name for name in options if name not in kind.__struct_fields__]
    if unknown:
        raise InvalidPrompt(f"{task} has no option {unknown[0]!r:.64}{_meant(unknown[0], kind)}")
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        raise InvalidPrompt(f"the options of {task} do not fit: {error}") from error


def check_unicode(task: Task, options: Options) -> None:
    """Raise ``InvalidPrompt`` for options that cannot be written down."""
    try:
        msgspec.json.encode(options)
    except UnicodeEncodeError:
        raise InvalidPrompt(f"the options of {task} have lone surrogates: no UTF-8") from None
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidPrompt(f"the options of {task} are no JSON: {error}") from error


def _meant(name: object, kind: type[msgspec.Struct]) -> str:
    known = kind.__struct_fields__
    near = get_close_matches(str(name), known, 1)
    return f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}"
