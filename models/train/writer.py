"""Train a small language model from nothing on questions and answers.

A Llama with a vocabulary of byte pairs out of its own texts. It knows what it was taught and
nothing else, which makes it a base on which learning and forgetting can be measured in minutes.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from models.adapt.base import WritingRows
from models.train.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.adapt.recipe import AdaptRow

_END: Final = "<|end|>"
_BEGIN: Final = "<|begin|>"
_NOTHING: Final = "<|nothing|>"
_TEMPLATE: Final = "{% for message in messages %}{{ message['content'] }}" + _END + "{% endfor %}"
_WARMUP: Final = 50


@dataclass(frozen=True)
class WriterShape:
    """How large a model is: byte pairs, width, attention heads, layers, and tokens it reads."""

    vocabulary: int = 1_500
    width: int = 128
    heads: int = 4
    layers: int = 3
    positions: int = 256


@dataclass(frozen=True)
class WriterSchedule:
    """How long and fast it is trained."""

    steps: int
    rows: int = 64
    learning_rate: float = 3e-3
    threads: int = 1
    seed: int = 0


def train_writer(
    rows: Sequence[AdaptRow],
    vocabulary: Sequence[str],
    shape: WriterShape,
    schedule: WriterSchedule,
    folder: Path,
) -> float:
    """Train on the rows and write the model as an ordinary folder; return its last loss.

    ``vocabulary`` are texts that the byte pairs are made of, those that come later included.
    """
    torch.set_num_threads(schedule.threads)
    torch.manual_seed(schedule.seed)
    tokenizer = _tokenizer(vocabulary, shape.vocabulary)
    network = LlamaForCausalLM(_config(shape, tokenizer))
    read = WritingRows(network.config, tokenizer, network, "")
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate)
    draw = random.Random(schedule.seed)  # noqa: S311 - an order of rows, no secret
    recent = math.log(len(tokenizer))
    network.train()
    with progress("writer", schedule.steps) as advance:
        for step in range(schedule.steps):
            rate = min(1.0, (step + 1) / _WARMUP) * (1 + math.cos(math.pi * step / schedule.steps))
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * rate / 2
            optimizer.zero_grad()
            loss = network(**read(draw.choices(rows, k=schedule.rows))).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            recent += 0.02 * (float(loss.detach()) - recent)
            advance(f"loss {recent:.4f}")
    network.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return recent


def _config(shape: WriterShape, tokenizer: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=4 * shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.positions,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )


def _tokenizer(texts: Sequence[str], size: int) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {"unk_token": _NOTHING, "bos_token": _BEGIN, "eos_token": _END}
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*special.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=_TEMPLATE, **special, pad_token=_NOTHING
    )
