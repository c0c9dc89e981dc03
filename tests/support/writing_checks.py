"""What holds of every engine that writes, held against ``generate`` of transformers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from shared.messages import Scored
from shared.tasks import Request
from shared.tasks.classify import Label
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.runtimes import Model
    from shared.runtimes.model import Entry
    from tests.support.writer_references import WriterReference

TEXTS = ("the valve sticks", "a dull film, far too long", "Zwei Hunde", "why", "ein Mann sieht zu")
LENGTHS = tuple(
    Request("generate", text * (1 + number % 2), {"max_new_tokens": 6 + 5 * number})
    for number, text in enumerate(TEXTS)
)
"""Texts to be written that end one after another."""


def ask(model: Model, text: str, **options: Any) -> Entry:
    (entry,) = model.answer([Request("generate", text, options)])
    return entry


def said(entry: Entry) -> Completion:
    assert isinstance(entry, Scored), entry
    assert isinstance(entry.answer, Completion)
    return entry.answer


def check_writing(reference: WriterReference, model: Model, within: float) -> set[str]:
    """Check texts and confidences beside a second pass of the original; return the texts."""
    found = set()
    for text in TEXTS:
        expected, chosen, chances = reference.greedy(text, 24)
        entry = ask(model, text, max_new_tokens=24)
        assert said(entry).text == expected.rstrip("\ufffd")
        assert said(entry).tokens_out == len(chosen)
        assert isinstance(entry, Scored)
        perplexity = math.exp(-sum(chances) / len(chances))
        assert entry.confidence == pytest.approx(1 / (1 + perplexity), abs=within)
        found.add(expected)
    return found


def check_choosing(reference: WriterReference, model: Model, within: float) -> None:
    """Check the probabilities of labels beside what the original calls each."""
    labels, instruction = ["leak", "no leak", "film"], "What is it?"
    request = Request("classify", "the pump", {"labels": labels, "instruction": instruction})
    read = reference.tokenizer(f"{instruction}\n\nthe pump\n\nAnswer:")["input_ids"]
    weights = [math.exp(reference.mean(read, label)) for label in labels]

    (entry,) = model.answer([request])

    assert isinstance(entry, Scored)
    expected = [weight / sum(weights) for weight in weights]
    assert entry.probabilities == pytest.approx(expected, abs=within)
    assert entry.answer == Label(labels[expected.index(max(expected))])


def check_same(alone: Sequence[Entry], together: Mapping[int, Entry]) -> None:
    """Check that texts written together are those that each is alone."""
    for number, one in enumerate(alone):
        other = together[number]
        assert said(one) == said(other)
        assert isinstance(one, Scored)
        assert isinstance(other, Scored)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-5)
