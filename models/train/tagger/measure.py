"""Measure a tagger as it is served: entities count if type and both ends are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from models.spans import SpanScore, score_spans
from models.train.progress import progress
from models.train.tagger.examples import collate, encode
from shared.runtimes.words import words
from shared.tasks.tag import Token, entities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.conll import Place, Sentence
    from models.train.student import Student

_ROWS_PER_READ = 64


def measure(student: Student, sentences: Sequence[Sentence], label: str) -> SpanScore:
    """Score the student on sentences."""
    found = predict(student, sentences, label)
    return score_spans(
        (places, set(sentence.places)) for places, sentence in zip(found, sentences, strict=True)
    )


def predict(student: Student, sentences: Sequence[Sentence], label: str) -> list[set[Place]]:
    """Return the places that the student finds in each sentence."""
    student.model.eval()
    examples = encode(student.tokenizer, sentences)
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].ids))
    found: list[set[Place]] = [set() for _ in sentences]
    starts = range(0, len(order), _ROWS_PER_READ)
    with torch.inference_mode(), progress(label, len(starts)) as advance:
        for start in starts:
            part = order[start : start + _ROWS_PER_READ]
            batch = collate([examples[index] for index in part])
            logits = student.model(
                input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.shapes
            ).logits
            for index, row in zip(part, logits.argmax(dim=-1).tolist(), strict=True):
                found[index] = _places(student, sentences[index].text, row)
            advance("")
    return found


def _places(student: Student, text: str, labels: Sequence[int]) -> set[Place]:
    encoding = student.tokenizer.encode(text)
    names = student.model.config.id2label
    tokens = (
        Token(names[labels[word.first]], word.start, word.end, 1.0)
        for word in words(text, encoding.word_ids, encoding.offsets)
    )
    return {span.place for span in entities(tokens).spans}
