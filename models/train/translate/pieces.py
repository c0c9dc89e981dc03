"""The joint vocabulary of both languages, and pairs as the token ids that a model reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.train.translate.captions import CaptionPair

PAD, SEPARATOR, END = "<pad>", "<de>", "<end>"
PAD_ID, SEPARATOR_ID, END_ID = 0, 1, 2


@dataclass(frozen=True)
class PairIds:
    """Prompt and answer as one row of ids; the answer starts after `prompt` of them."""

    ids: tuple[int, ...]
    prompt: int


def train_tokenizer(pairs: Sequence[CaptionPair], pieces: int) -> Tokenizer:
    """Byte-level pieces of both languages together, the special ones first."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=pieces,
        special_tokens=[PAD, SEPARATOR, END],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (text for pair in pairs for text in (pair.source, pair.target))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_prompts(tokenizer: Tokenizer, sources: Sequence[str]) -> list[tuple[int, ...]]:
    """Token ids of each caption with the separator behind it."""
    return [(*one.ids, SEPARATOR_ID) for one in tokenizer.encode_batch_fast(list(sources))]


def encode_pairs(tokenizer: Tokenizer, pairs: Sequence[CaptionPair]) -> list[PairIds]:
    """Each pair as prompt, answer and end token."""
    prompts = encode_prompts(tokenizer, [pair.source for pair in pairs])
    answers = tokenizer.encode_batch_fast([pair.target for pair in pairs])
    return [
        PairIds((*prompt, *answer.ids, END_ID), len(prompt))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
