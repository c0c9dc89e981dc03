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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OPSET: Final = 20
"""The first one with Gelu as a single operator."""
_MASKED: Final = -1e4
_SAME: Final = 1e-4
_LONG: Final = 320


def export(model: Any, path: Path) -> None:
    """Write ``model`` (on the CPU, in float32) as an ONNX graph.

    Inputs ``input_ids`` and ``attention_mask``, int64 of shape (prompts, tokens), both free;
    output ``logits``, float32 of shape (prompts, labels). Raises ``BundleError`` when PyTorch
    cannot export the model.
    """
    model.set_attn_implementation("eager")
    example = _example(model)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _silence():
        try:
            torch.onnx.export(
                _leanest(model, example),
                example,
                path,
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_shapes={"input_ids": free, "attention_mask": free},
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
    """The model as it is, cut down to two inputs and one output."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


class _Lean(_Plain):
    """The same with the mask ready to be added and no segments: a tenth faster when small.

    A mask of shape (prompts, 1, 1, tokens) spares the graph a dozen operators that spread it,
    and segments of shape (1, 1) become a constant.
    """

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        mask = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * _MASKED
        given = {"input_ids": input_ids, "attention_mask": mask}
        if "token_type_ids" in inspect.signature(self.model.forward).parameters:
            given["token_type_ids"] = torch.zeros((1, 1), dtype=torch.int64)
        logits: torch.Tensor = self.model(**given).logits
        return logits


def _leanest(model: Any, example: tuple[torch.Tensor, torch.Tensor]) -> torch.nn.Module:
    """Return the lean form where the model takes it and says the same, else the plain one."""
    plain, lean = _Plain(model).eval(), _Lean(model).eval()
    with torch.inference_mode():
        try:
            same = all(
                torch.allclose(plain(*given), lean(*given), atol=_SAME)
                for given in (example, _long_example(model))
            )
        except Exception:  # noqa: BLE001 - whatever a model says to a mask it does not know
            same = False
    return lean if same else plain


def _example(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two prompts of different length."""
    ids = torch.arange(2 * 7).reshape(2, 7) % model.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return ids, mask


def _long_example(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two prompts longer than the windows that models slide over a text, if they may be."""
    limit = getattr(model.config, "max_position_embeddings", None) or _LONG
    tokens = max(8, min(_LONG, limit - 8))
    ids = torch.arange(2 * tokens).reshape(2, tokens) % model.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, tokens // 2 :] = 0
    return ids, mask


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
        for dimension, name in zip(
            value.type.tensor_type.shape.dim, ("prompts", "tokens"), strict=True
        ):
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
