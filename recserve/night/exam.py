"""What a bundle says to the probes of a night, asked as it is served."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from edge_agent.nights.gates import Exam, Examined
from shared.errors import PromptError
from shared.runtimes import load_model
from shared.tasks import Request
from shared.tasks.classify import Label
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.nights.folder import NightRows
    from shared.runtimes import Entry, ModelSettings
    from shared.tasks import Task

PROBES: Final = 500
"""Of what is known already, as many are asked."""
_ANSWER_TOKENS: Final = 64


def examine(settings: ModelSettings, task: Task, rows: NightRows, room: int) -> Exam:
    """Ask a model what is new, in held-out wordings, and a draw of what is old.

    ``room`` is how many tokens it reads and writes.
    """
    new = [row for row in rows.new if row.held_out]
    draw = random.Random("probes")  # noqa: S311 - a choice of rows, no secret
    old = draw.sample(rows.old, min(PROBES, len(rows.old)))
    said = _ask(settings, task, [row.probe for row in (*new, *old)], room)
    return Exam(Examined(new, said[: len(new)]), Examined(old, said[len(new) :]))


def learned(new: Examined) -> dict[int, float]:
    """Return the entries that the model answers right in a wording that it did not learn."""
    right = zip(new.rows, new.right, strict=True)
    return {row.entry: 1.0 for row, is_right in right if is_right and row.entry}


def _ask(settings: ModelSettings, task: Task, texts: Sequence[str], room: int) -> list[str | None]:
    options = {"max_new_tokens": min(_ANSWER_TOKENS, room // 2)} if task == "generate" else {}
    model = load_model(settings)
    said: list[str | None] = []
    try:
        for start in range(0, len(texts), settings.batch_prompts):
            asked = texts[start : start + settings.batch_prompts]
            entries = model.answer([Request(task, text, options) for text in asked])
            said += [_said(entry) for entry in entries]
    finally:
        model.close()
    return said


def _said(entry: Entry) -> str | None:
    if isinstance(entry, PromptError):
        return None
    if isinstance(entry.answer, Label):
        return entry.answer.label
    return entry.answer.text if isinstance(entry.answer, Completion) else None
