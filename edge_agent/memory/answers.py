"""An answer as it is remembered, a text, and back: pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from shared.tasks.classify import Label
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from shared.messages import Failure
    from shared.tasks import Answer, Request, Task


def varies(request: Request) -> bool:
    """Return whether a request wants another answer each time."""
    return bool(request.options.get("temperature"))


def owner_of(request: Request, whose: str) -> str:
    """Return whose memory it is: an answer holds for the options it was asked with."""
    if not request.options:
        return whose
    options = msgspec.json.encode(request.options, order="sorted")
    return f"{whose}#{hashlib.sha256(options).hexdigest()[:16]}"


def text_of(outcome: Answer | Failure) -> str:
    """Return an answer as it is remembered; empty for what is not."""
    if isinstance(outcome, Label):
        return outcome.label
    if not isinstance(outcome, Completion) or outcome.finish != "stop" or outcome.prompt_cut:
        return ""
    return outcome.text


def answer_of(task: Task, text: str) -> Answer:
    """Return the answer that was remembered as this text."""
    return Label(text) if task == "classify" else Completion(text)
