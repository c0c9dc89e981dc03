"""A bundle: a folder that holds a model ready to serve.

::

    sentiment-device/
        bundle.yaml       what it is: the manifest below
        model.onnx        weights and graph
        tokenizer.json    from text to token ids
        ngrams.bin        if it has a head: what words and word pairs say of each label
        genai_config.json, chat_template.jinja and others, if it writes texts

Opening a bundle checks the SHA-256 of every file before anything is loaded. Leaves out loading
itself (``shared.runtimes``) and making bundles (``models.pack``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shared.errors import BundleError
from shared.runtimes.bundle_files import (
    MANIFEST,
    hashes_in,
    sha256_of,
    size_of,
    verify_files,
    write_manifest,
)
from shared.runtimes.head_manifest import REFIT, TABLE, check_head, open_second_opinion
from shared.runtimes.manifest import Manifest, read_manifest
from shared.runtimes.text_manifest import (
    CHAT_TEMPLATE,
    TOKENIZER,
    WEIGHTS,
    check_files,
    check_task,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.runtimes.model_settings import Answers
    from shared.runtimes.second_opinion import SecondOpinion
    from shared.tasks import Task


class Bundle(msgspec.Struct, frozen=True):
    """A folder whose files are those that its manifest names."""

    folder: Path
    manifest: Manifest
    digest: str
    """SHA-256 of the manifest, which has that of every file: of the whole bundle, that is."""

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Read the manifest and check every file against it.

        Raises ``BundleError`` naming the folder, file or key that is wrong.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise BundleError(f"{folder}: there is no such bundle folder; check model.source")
        manifest = read_manifest(folder / MANIFEST)
        digest = sha256_of(folder / MANIFEST)
        check_files(folder / MANIFEST, runtime=manifest.runtime, files=manifest.files)
        verify_files(folder, manifest.files)
        _check_confidence(manifest, folder / MANIFEST)
        return cls(folder, manifest, digest)

    @classmethod
    def write(cls, folder: str | Path, manifest: Manifest) -> Bundle:
        """Write ``bundle.yaml`` beside the files in ``folder``, with their hashes, and open it."""
        folder = Path(folder)
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

    def second_opinion(self, answer: Answers | None = None) -> SecondOpinion | None:
        """Read what is heard beside the model; None where that is nobody.

        ``answer`` stands in place of what the manifest says. Raises ``BundleError`` when nothing
        can be fused here, or the table does not belong to the head.
        """
        manifest, head = self.manifest, self.manifest.head
        fused = (answer or manifest.answer) == "fused"
        if fused:
            _check_fusion(manifest, self.folder / MANIFEST)
        foretells = manifest.confidence == "agreement"
        if head is None or not (fused or foretells):
            return None
        return open_second_opinion(head, self.folder / TABLE, fused=fused, foretells=foretells)

    def digest_of(self, answer: Answers | None) -> str:
        """Return the digest of what is served when ``answer`` stands in place of the manifest's.

        It is the bundle's own unless that changes the answers.
        """
        if answer in {None, self.manifest.answer}:
            return self.digest
        return hashlib.sha256(f"{self.digest} {answer}".encode()).hexdigest()

    def expected_of(self, answer: Answers | None) -> Mapping[Task, tuple[float, ...]]:
        """Return quantiles of the confidences by task, as far as they are known.

        None are where ``answer`` changes what was packed.
        """
        if answer not in {None, self.manifest.answer}:
            return {}
        return {task: known.quantiles for task, known in self.manifest.confidences.items()}

    @property
    def chats(self) -> bool:
        """Whether a model that writes knows who says what; without a template it goes on a text."""
        return CHAT_TEMPLATE in self.manifest.files

    @property
    def size_bytes(self) -> int:
        """Size of all files together, the manifest included."""
        return size_of(self.folder, self.manifest.files)


def check_runtime(bundle: Bundle, runtime: str) -> None:
    """Refuse a bundle that is for another engine than the one that opens it."""
    manifest = bundle.manifest
    if manifest.runtime != runtime:
        raise BundleError(
            f"{bundle.folder}: is a bundle for {manifest.runtime}; set model.runtime to "
            f"{manifest.runtime}"
        )


def _check_confidence(manifest: Manifest, place: Path) -> None:
    """Refuse a head that is missing, or of something else."""
    head = manifest.head
    if manifest.answer == "fused":
        _check_fusion(manifest, place)
    if manifest.confidence == "agreement":
        if head is None:
            raise BundleError(f"{place}: confidence is agreement, but there is no head; {REFIT}")
        if manifest.task != "classify":
            raise BundleError(
                f"{place}: confidence is agreement, but a head is for classify and not for "
                f"{manifest.task}; remove it"
            )
    if head is not None:
        if TABLE not in manifest.files:
            raise BundleError(f"{place}: files does not list {TABLE}; {REFIT}")
        check_head(head, place, model=manifest.files[WEIGHTS], labels=manifest.labels)
    check_task(place, task=manifest.task, confidence=manifest.confidence, labels=manifest.labels)


def _check_fusion(manifest: Manifest, place: Path) -> None:
    """Refuse fused answers where nothing was fitted to fuse them with."""
    if manifest.task != "classify":
        raise BundleError(
            f"{place}: answers are to be fused, but that is for classify and not for "
            f"{manifest.task}; set answer to model"
        )
    if manifest.head is None or manifest.head.fusion is None:
        raise BundleError(
            f"{place}: answers are to be fused, but the bundle has no "
            f"{'head' if manifest.head is None else 'fusion in its head'}; {REFIT}, or set answer "
            "to model"
        )
