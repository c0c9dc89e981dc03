"""A bundle whose model turns a text into a vector: what a memory finds like questions by.

::

    minilm/
        bundle.yaml       what it is: the manifest below
        model.onnx        from token ids to one vector of length 1
        tokenizer.json    from text to token ids

It answers no prompt, so it stands beside ``shared.runtimes.bundle`` and shares only its files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.errors import BundleError
from shared.runtimes.bundle_files import (
    FORMAT,
    MANIFEST,
    FileName,
    Sha256,
    Side,
    hashes_in,
    read_manifest_tree,
    sha256_of,
    size_of,
    verify_files,
    write_manifest,
)
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS


class Fidelity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How near the packed vectors are to the original's: cosines over ``texts`` texts."""

    texts: Annotated[int, Meta(ge=1)]
    mean: Annotated[float, Meta(ge=-1, le=1)]
    least: Annotated[float, Meta(ge=-1, le=1)]

    def __str__(self) -> str:
        return (
            f"cosine to the original {self.mean:.4f} in the mean and {self.least:.4f} at least "
            f"on {self.texts} texts"
        )


class EmbedderManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``bundle.yaml`` says of an embedder.

    Vectors have ``dimensions`` numbers and length 1: the mean over the tokens that the model reads,
    ``max_tokens`` at most with the special ones. ``fidelity`` was measured when it was packed.
    """

    format: Literal[1] = FORMAT
    name: Annotated[str, Meta(min_length=1)]
    version: Annotated[str, Meta(min_length=1)]
    task: Literal["embed"] = "embed"
    runtime: Literal["onnx"] = "onnx"
    precision: Literal["float32", "int8"] = "float32"
    dimensions: Annotated[int, Meta(ge=1)]
    pooling: Literal["mean"] = "mean"
    max_tokens: Annotated[int, Meta(ge=8)]
    truncation: Side = "right"
    padding: Side = "right"
    pad_token: Annotated[int, Meta(ge=0)] = 0
    source: str = ""
    licence: str = ""
    description: str = ""
    fidelity: Fidelity | None = None
    files: dict[FileName, Sha256] = {}


class EmbedderBundle(msgspec.Struct, frozen=True):
    """A folder whose files are those that its manifest names."""

    folder: Path
    manifest: EmbedderManifest
    digest: str
    """SHA-256 of the manifest, which has that of every file."""

    @classmethod
    def open(cls, folder: str | Path) -> EmbedderBundle:
        """Read the manifest and check every file against it.

        Raises ``BundleError`` naming the folder, file or key that is wrong.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise BundleError(
                f"{folder}: there is no such folder of an embedder; "
                "make one with recserve pack --task embed"
            )
        manifest = _read(folder / MANIFEST)
        for name in (WEIGHTS, TOKENIZER):
            if name not in manifest.files:
                raise BundleError(f"{folder / MANIFEST}: files does not list {name}; pack it again")
        verify_files(folder, manifest.files)
        return cls(folder, manifest, sha256_of(folder / MANIFEST))

    @classmethod
    def write(cls, folder: Path, manifest: EmbedderManifest) -> EmbedderBundle:
        """Write ``bundle.yaml`` beside the files in ``folder``, with their hashes, and open it."""
        write_manifest(folder, msgspec.structs.replace(manifest, files=hashes_in(folder)))
        return cls.open(folder)

    @property
    def weights(self) -> Path:
        """The ONNX graph with its weights."""
        return self.folder / WEIGHTS

    @property
    def tokenizer(self) -> Path:
        """The tokenizer."""
        return self.folder / TOKENIZER

    @property
    def size_bytes(self) -> int:
        """Size of all files together, the manifest included."""
        return size_of(self.folder, self.manifest.files)


def _read(path: Path) -> EmbedderManifest:
    tree = read_manifest_tree(path)
    if tree.get("task") != "embed":
        raise BundleError(
            f"{path}: is a bundle for {tree.get('task')!s:.40}, not for embed; "
            "make one with recserve pack --task embed"
        )
    try:
        return msgspec.convert(tree, EmbedderManifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: {error}; correct it or pack the model again") from error
