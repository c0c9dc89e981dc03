"""Translate greedily, many captions at a time, and score what comes out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from sacrebleu import corpus_bleu, corpus_chrf

from models.train.progress import progress
from models.train.translate.pieces import END_ID, encode_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.train.translate.captions import CaptionPair
    from models.train.translate.net import Translator

ANSWER_TOKENS_MAX = 80
_ROWS_PER_READ = 512


@dataclass(frozen=True)
class TranslationScore:
    """BLEU and chrF of `rows` greedy translations, as sacrebleu counts them on raw text."""

    rows: int
    bleu: float
    chrf: float


def measure(translator: Translator, pairs: Sequence[CaptionPair], label: str) -> TranslationScore:
    """TranslationScore the translator on pairs."""
    found = translate(translator, [pair.source for pair in pairs], label)
    references = [[pair.target for pair in pairs]]
    bleu = corpus_bleu(found, references).score
    chrf = corpus_chrf(found, references).score
    return TranslationScore(len(pairs), round(bleu, 2), round(chrf, 2))


def translate(translator: Translator, sources: Sequence[str], label: str) -> list[str]:
    """Return the most likely next token, again and again, of each source, as text."""
    prompts = encode_prompts(translator.tokenizer, sources)
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        by_length[len(prompt)].append(index)
    groups = [
        same[start : start + _ROWS_PER_READ]
        for same in by_length.values()
        for start in range(0, len(same), _ROWS_PER_READ)
    ]
    answers: list[list[int]] = [[] for _ in sources]
    translator.model.eval()
    with torch.inference_mode(), progress(label, len(groups)) as advance:
        for group in groups:
            rows = _continue(translator, torch.tensor([prompts[index] for index in group]))
            for index, row in zip(group, rows, strict=True):
                answers[index] = row
            advance("")
    texts: list[str] = translator.tokenizer.decode_batch(answers)
    return [text.strip() for text in texts]


def _continue(translator: Translator, ids: torch.Tensor) -> list[list[int]]:
    """Answers to prompts of one length (rows, tokens), without the end token."""
    found = translator.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=ANSWER_TOKENS_MAX,
        eos_token_id=END_ID,
        pad_token_id=END_ID,
    )
    rows = found[:, ids.shape[1] :].tolist()
    return [row[: row.index(END_ID)] if END_ID in row else row for row in rows]
