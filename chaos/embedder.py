"""An embedder that is made in a moment: the mean of a drawn direction for each token.

Texts with the same words lie at one place, and the more words two share the nearer they are. That
is enough for an edge to remember by where what counts is that nothing is lost; needs ``onnx``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from chaos.plan import ROOT
from shared.runtimes.embedder_bundle import EmbedderBundle, EmbedderManifest
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

WIDTH: Final = 32
_OPSET: Final = 17
_FORMAT: Final = 9
_SITE_TOKENIZER: Final = ROOT / "models" / "bundles" / "sentiment-edge" / TOKENIZER
_SITE_TOKENS: Final = 256


def write_site_embedder(folder: Path) -> Path:
    """Write what the edge agents of a site find like questions by."""
    tokenizer = _SITE_TOKENIZER.read_text(encoding="utf-8")
    return write_embedder(folder, tokenizer, max_tokens=_SITE_TOKENS)


def write_embedder(folder: Path, tokenizer: str, *, max_tokens: int) -> Path:
    """Write a bundle that embeds what a tokenizer reads, which is given as its JSON."""
    from onnx import helper, save  # noqa: PLC0415 - optional

    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER).write_text(tokenizer, encoding="utf-8")
    tokens = 1 + max(msgspec.json.decode(tokenizer)["model"]["vocab"].values())
    opset = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(_graph(tokens), opset_imports=opset, ir_version=_FORMAT)
    save(model, folder / WEIGHTS)
    manifest = EmbedderManifest(name="words", version="1", dimensions=WIDTH, max_tokens=max_tokens)
    return EmbedderBundle.write(folder, manifest).folder


def _graph(tokens: int) -> object:
    """Return the graph: look up, leave out what pads, add up, bring to length 1."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - optional

    table = np.random.default_rng(5).standard_normal((tokens, WIDTH)).astype(np.float32)
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
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", WIDTH])
    constants = {"table": table, "last": np.array([-1]), "first": np.array([1])}
    rows = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return helper.make_graph(nodes, "mean of words", [ids, mask], [vectors], rows)
