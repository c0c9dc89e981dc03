"""From texts to vectors with ONNX Runtime and ``tokenizers`` alone.

Leaves out how the weights were made (``models.pack``) and what the vectors are good for. Weights in
int8 compute the range of their activations for each batch, so a vector moves a little (a cosine of
0.999) with what else is in its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BundleError
from shared.runtimes.embedder_bundle import EmbedderBundle
from shared.runtimes.model_settings import ModelSettings
from shared.runtimes.onnx_session import BATCH_TOKENS, load_session, load_tokenizer
from shared.runtimes.padding import Padding, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BATCH_TEXTS: Final = 32


class OnnxEmbedder:
    """A loaded embedder; it is used from one thread at a time."""

    def __init__(self, folder: str, *, threads: int = 1) -> None:
        bundle = EmbedderBundle.open(folder)
        self.name = bundle.manifest.name
        self.digest = bundle.digest
        self.dimensions = bundle.manifest.dimensions
        self._tokenizer = load_tokenizer(bundle, None)
        self._padding = Padding(bundle.manifest.pad_token, bundle.manifest.padding)
        self._session = load_session(bundle, ModelSettings(source=folder, threads=threads))
        shape = self.embed(["warm up"]).shape
        if shape != (1, self.dimensions):
            raise BundleError(
                f"{bundle.folder}: bundle.yaml has {self.dimensions} dimensions, but "
                f"{bundle.weights.name} has {shape[-1]}; pack the bundle again"
            )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 of shape (texts, dimensions), each row of length 1; blocks.

        Texts of like length run together; the order is that of ``texts``.
        """
        found = np.empty((len(texts), self.dimensions), np.float32)
        tokens = [self._tokenizer.encode(text).ids for text in texts]
        for rows in _batches([len(ids) for ids in tokens]):
            ids, mask = pad([tokens[row] for row in rows], self._padding)
            (vectors,) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
            if vectors.shape[-1] != self.dimensions:
                return np.asarray(vectors, np.float32)
            found[rows] = vectors
        return found


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Return the rows of each batch, the shortest texts first."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        full = batches and (
            len(batches[-1]) == _BATCH_TEXTS or (len(batches[-1]) + 1) * lengths[row] > BATCH_TOKENS
        )
        if full or not batches:
            batches.append([])
        batches[-1].append(row)
    return batches
