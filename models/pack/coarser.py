"""A bundle with its int8 weights rounded anew, one scale per matrix: what an exchange can bring.

For studies of what happens when a model is exchanged. Nothing is trained, and the same bundle and
bits always give the same bytes.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import onnx
from onnx import numpy_helper

from shared.errors import BundleError
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST, sha256_of
from shared.runtimes.text_manifest import WEIGHTS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_WEIGHT: Final = "_quantized"
_SCALE: Final = "_scale"
_ZERO: Final = "_zero_point"


def coarsen(bundle: Bundle, out: Path, *, bits: int) -> Bundle:
    """Write a bundle to the folder ``out`` whose weights have ``bits`` bits, and open it.

    A head is taken over as it is, though it was fitted to the weights before: what it says is then
    less true, as of any model that was exchanged without one fitting a head anew. Raises
    ``BundleError`` when the weights are not int8, or bits not from 2 to 8.
    """
    if bundle.manifest.precision != "int8" or not 2 <= bits <= 8:  # noqa: PLR2004 - of an int8
        raise BundleError(
            f"{bundle.folder}: only int8 weights can be rounded anew, to 2 to 8 bits, not "
            f"{bundle.manifest.precision} to {bits}"
        )
    out.mkdir(parents=True, exist_ok=True)
    for name in bundle.manifest.files:
        if name != WEIGHTS:
            shutil.copyfile(bundle.folder / name, out / name)
    model = onnx.load(bundle.weights)
    _round(model.graph, limit=2 ** (bits - 1) - 1)
    onnx.save(model, out / WEIGHTS)
    manifest = bundle.manifest
    head = manifest.head
    if head is not None:
        head = msgspec.structs.replace(head, model=sha256_of(out / WEIGHTS))
    (out / MANIFEST).unlink(missing_ok=True)
    return Bundle.write(
        out,
        msgspec.structs.replace(
            manifest, version=f"{manifest.version}-{bits}bit", quality={}, head=head
        ),
    )


def _round(graph: onnx.GraphProto, *, limit: int) -> None:
    """Round every weight to a multiple of one scale per matrix, ``limit`` of them each way."""
    held = {one.name: one for one in graph.initializer}
    for name in [name for name in held if name.endswith(_WEIGHT)]:
        parts = [held[name.removesuffix(_WEIGHT) + end] for end in (_WEIGHT, _SCALE, _ZERO)]
        weight, scale, zero = map(numpy_helper.to_array, parts)
        meant = (weight.astype(np.float32) - zero.astype(np.float32)) * scale
        step = float(np.abs(meant).max()) / limit
        _put(parts[0], np.rint(meant / step) + zero.astype(np.float32), weight)
        _put(parts[1], np.full_like(scale, step), scale)


def _put(part: onnx.TensorProto, values: NDArray[np.float32], like: NDArray[np.generic]) -> None:
    part.CopyFrom(numpy_helper.from_array(values.astype(like.dtype), part.name))
