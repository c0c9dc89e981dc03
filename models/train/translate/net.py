"""The nets: Llamas with tied embeddings, and their folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from models.train.errors import TrainingError
from models.train.translate.pieces import END, END_ID, PAD, PAD_ID, SEPARATOR

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT_TOKENS = 256
CHAT_TEMPLATE = "{{ messages[-1]['content'] }}" + SEPARATOR


@dataclass(frozen=True)
class Shape:
    """Width, heads, feed-forward width and layers of a net."""

    hidden: int
    heads: int
    feed_forward: int
    layers: int


@dataclass(frozen=True)
class Translator:
    """A net and the tokenizer whose ids it reads."""

    model: LlamaForCausalLM
    tokenizer: Tokenizer


def build(shape: Shape, tokenizer: Tokenizer, seed: int) -> Translator:
    """Make a net with random weights, which follow from `seed` alone."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        pad_token_id=PAD_ID,
        bos_token_id=None,
        eos_token_id=END_ID,
    )
    return Translator(LlamaForCausalLM(config), tokenizer)


def load(folder: Path) -> Translator:
    """Load a translator saved by an earlier step."""
    if not (folder / "config.json").is_file():
        raise TrainingError(f"{folder} has no config.json; run the step that makes it first")
    model = LlamaForCausalLM.from_pretrained(folder)
    return Translator(model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json")))


def save(translator: Translator, folder: Path, record: dict[str, object]) -> None:
    """Write an ordinary Hugging Face folder, with `training.json` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    translator.model.save_pretrained(folder)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": END,
        "model_max_length": CONTEXT_TOKENS,
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "tokenizer_config.json", settings)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    (folder / "tokenizer.json").write_text(translator.tokenizer.to_str(), encoding="utf-8")
    _write_json(folder / "training.json", record)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
