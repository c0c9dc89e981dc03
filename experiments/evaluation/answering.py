"""Asks a model for the answers that are not kept yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from experiments.evaluation.answer_store import Kept, prompt_key
from shared.errors import DataError, PromptError
from shared.runtimes import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.evaluation.answer_store import AnswerStore
    from experiments.evaluation.tier_models import ModelFacts
    from shared.tasks import Request

_CHUNK_PROMPTS: Final = 64
"""Answers are on disk after so many prompts at the latest."""


def answer_missing(
    name: str,
    asked: Sequence[Request],
    facts: ModelFacts,
    store: AnswerStore,
    advance: Callable[[float], object],
) -> None:
    """Fill the store with a model's answers to requests; ``advance`` is told how many are done.

    The model is loaded only where an answer is missing. Raises ``DataError`` naming ``name`` and
    the row when it fails on one; the answers made until then are kept.
    """
    keys = [prompt_key(request.content, request.options) for request in asked]
    missing = {key: row for row, key in enumerate(keys) if key not in store.answers}
    advance(len(set(keys)) - len(missing))
    if not missing:
        return
    model = load_model(facts.settings)
    try:
        waiting = list(missing.items())
        for start in range(0, len(waiting), _CHUNK_PROMPTS):
            chunk = waiting[start : start + _CHUNK_PROMPTS]
            entries = model.answer([asked[row] for _, row in chunk])
            scored = zip(chunk, entries, strict=True)
            store.append(
                (key, Kept(entry.answer, entry.certainty, entry.elapsed_us, entry.probabilities))
                for (key, _), entry in scored
                if not isinstance(entry, PromptError)
            )
            _refuse_failures(name, [row for _, row in chunk], entries)
            advance(len(chunk))
    finally:
        model.close()


def _refuse_failures(name: str, rows: Sequence[int], entries: Sequence[object]) -> None:
    for row, entry in zip(rows, entries, strict=True):
        if isinstance(entry, PromptError):
            raise DataError(f"{name}: prompt {row + 1}: {entry}; leave it out") from entry
