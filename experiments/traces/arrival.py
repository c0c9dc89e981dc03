"""One arrival of a trace."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from experiments.traces.values import LARGEST
from shared.tasks import Task

Seconds = Annotated[float, Meta(ge=0, le=LARGEST)]
Tokens = Annotated[int, Meta(ge=0, le=LARGEST)]


class Arrival(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt that comes ``at_s`` seconds after the trace began.

    ``text`` is empty where the trace has none, ``device`` where it does not say whose it is.
    ``options`` are those of the task, and ``label`` is what is right: a label, or a text that an
    answer is held against. The time given for an answer, ``deadline_s``, counts from the arrival.
    As JSON, one a line, this is the project's own format.
    """

    at_s: Seconds
    device: str = ""
    task: Task = "classify"
    text: str = ""
    label: str | None = None
    priority: Annotated[int, Meta(ge=-LARGEST, le=LARGEST)] = 0
    deadline_s: Annotated[float, Meta(gt=0, le=LARGEST)] | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    options: dict[str, Any] = {}
