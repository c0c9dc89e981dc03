"""What a bundle says to the probes of a night, asked as it is served."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, Final

from edge_agent.nights.folder import NightRow
from edge_agent.nights.gates import Exam, Examined
from recserve.night.lessons import shown_probes
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
_SHOWN_PROBES: Final = 200
"""After an example, as many."""
_ANSWER_TOKENS: Final = 64


def examine(settings: ModelSettings, task: Task, rows: NightRows, room: int, shown: bool) -> Exam:
    """Ask a model what is new, in held-out wordings, a draw of what is old, and after examples.

    Of what is old rows that are not repeated are asked, where there are any: those that are tell
    nothing of the others.
    ``room`` is how many tokens it reads and writes; it is ``shown`` examples, or none.
    """
    new = [row for row in rows.new if row.held_out]
    draw = random.Random("probes")  # noqa: S311 - a choice of rows, no secret
    known = [row for row in rows.old if not row.wordings] or rows.old
    old = draw.sample(known, min(PROBES, len(known)))
    after = shown_probes(rows.new, _SHOWN_PROBES) if shown else []
    options = {"max_new_tokens": min(_ANSWER_TOKENS, room // 2)} if task == "generate" else {}
    requests = [Request(task, row.probe, options) for row in (*new, *old)]
    requests += [Request(task, row.text, options, examples=row.examples) for row in after]
    said = iter(_ask(settings, requests))
    probes = [NightRow(held_out=row.text, answer=row.answer) for row in after]
    return Exam(*(Examined(each, list(islice(said, len(each)))) for each in (new, old, probes)))


def learned(new: Examined) -> dict[int, float]:
    """Return the entries that the model answers right in a wording that it did not learn."""
    right = zip(new.rows, new.right, strict=True)
    return {row.entry: 1.0 for row, is_right in right if is_right and row.entry}


def _ask(settings: ModelSettings, requests: Sequence[Request]) -> list[str | None]:
    model = load_model(settings)
    said: list[str | None] = []
    try:
        for start in range(0, len(requests), settings.batch_prompts):
            entries = model.answer(requests[start : start + settings.batch_prompts])
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
