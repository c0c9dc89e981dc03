"""Export a PyTorch sequence classifier to ONNX, and quantise what came out.

Of PyTorch's two exporters this uses the one built on ``torch.export``: for the same model it
leaves half the nodes that the older one, which traces, leaves, needs no guess about shapes, and
is the one that goes on being maintained. Only standard operators come out, so that CUDA and
TensorRT can run the float32 graph too; ONNX Runtime fuses them when it loads the file.

Leaves out models whose weights pass 2 GB, the limit of a single ONNX file.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from shared.errors import BundleError
from shared.runtimes.words import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OPSET: Final = 20
"""The first one with Gelu as a single operator."""
_INPUTS: Final = ("input_ids", "attention_mask")
_MASKED: Final = -1e4
_SAME: Final = 1e-4
_LONG: Final = 320
_DIMENSIONS: Final = ("prompts", "tokens", "labels")


def export(model: Any, path: Path, *, shapes: bool = False) -> None:
    """Write ``model`` (on the CPU, in float32) as an ONNX graph.

    Inputs ``input_ids`` and ``attention_mask``, int64 of shape (prompts, tokens), both free, and
    ``token_type_ids`` alike if it is told the ``shapes`` of words; output ``logits``, float32 of
    shape (prompts, labels), a tagger's (prompts, tokens, labels). Raises ``BundleError`` when
    PyTorch cannot export the model.
    """
    model.set_attn_implementation("eager")
    inputs = (*_INPUTS, "token_type_ids") if shapes else _INPUTS
    example = _example(model)[: len(inputs)]
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _silence():
        try:
            torch.onnx.export(
                _leanest(model, example),
                example,
                path,
                input_names=list(inputs),
                output_names=["logits"],
                dynamic_shapes=dict.fromkeys(inputs, free),
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0]
            raise BundleError(
                f"{type(model).__name__} cannot be exported to ONNX ({reason}); "
                "serve it with the runtime transformers instead"
            ) from error
    _tidy(path)


def quantise(source: Path, out: Path) -> None:
    """Write the graph ``source`` with int8 weights to ``out``, a quarter of its size.

    Weights of matrix products get a scale per column and seven of the eight bits: the eighth
    overflows on x86 processors without VNNI, and a bundle must answer alike wherever it runs.
    Embedding tables are only looked up, so they use all eight.
    """
    step = out.with_suffix(".step")
    common = {"per_channel": True, "weight_type": QuantType.QInt8}
    types = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    with _silence():
        quantize_dynamic(source, step, op_types_to_quantize=["Gather"], **common)
        quantize_dynamic(
            step,
            out,
            op_types_to_quantize=["MatMul"],
            reduce_range=True,
            extra_options=types,
            **common,
        )
    step.unlink()


class _Plain(torch.nn.Module):  # type: ignore[misc] # torch is untyped to us
    """The model as it is, cut down to the inputs that are given and one output."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            given["token_type_ids"] = token_type_ids
        logits: torch.Tensor = self.model(**given).logits
        return logits


class _Lean(_Plain):
    """The same with the mask ready to be added and no segments: a tenth faster when small.

    A mask of shape (prompts, 1, 1, tokens) spares the graph a dozen operators that spread it,
    and segments of shape (1, 1) become a constant.
    """

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        mask = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * _MASKED
        if token_type_ids is None and self._has_segments():
            token_type_ids = torch.zeros((1, 1), dtype=torch.int64)
        return super().forward(input_ids, mask, token_type_ids)

    def _has_segments(self) -> bool:
        return "token_type_ids" in inspect.signature(self.model.forward).parameters


def _leanest(model: Any, example: tuple[torch.Tensor, ...]) -> torch.nn.Module:
    """Return the lean form where the model takes it and says the same, else the plain one."""
    plain, lean = _Plain(model).eval(), _Lean(model).eval()
    with torch.inference_mode():
        try:
            same = all(
                torch.allclose(plain(*given), lean(*given), atol=_SAME)
                for given in (example, _long_example(model)[: len(example)])
            )
        except Exception:  # noqa: BLE001 - whatever a model says to a mask it does not know
            same = False
    return lean if same else plain


def _example(model: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return two prompts of different length, their mask and how their words are written."""
    ids = torch.arange(2 * 7).reshape(2, 7) % model.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return ids, mask, ids % SHAPES


def _long_example(model: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return two prompts longer than the windows that models slide over a text, if they may be."""
    limit = getattr(model.config, "max_position_embeddings", None) or _LONG
    tokens = max(8, min(_LONG, limit - 8))
    ids = torch.arange(2 * tokens).reshape(2, tokens) % model.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, tokens // 2 :] = 0
    return ids, mask, ids % SHAPES


def _tidy(path: Path) -> None:
    """Drop traces of where each node came from, and shapes that quantising would contradict."""
    graph = onnx.load(path)
    for node in graph.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for field in ("metadata_props", "value_info"):
        graph.graph.ClearField(field)
    for value in (*graph.graph.input, *graph.graph.output):
        value.ClearField("metadata_props")
        for dimension, name in zip(value.type.tensor_type.shape.dim, _DIMENSIONS, strict=False):
            if dimension.dim_param:
                dimension.dim_param = name
    onnx.save(graph, path)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep exporter and quantiser quiet; what matters is raised."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
