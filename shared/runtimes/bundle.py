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
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import yaml
from msgspec import Meta

from shared.errors import BundleError
from shared.messages import ConfidenceKind
from shared.runtimes.head_manifest import (
    REFIT,
    TABLE,
    HeadManifest,
    check_head,
    open_second_opinion,
)
from shared.runtimes.model import Answers
from shared.runtimes.text_manifest import (
    CHAT_TEMPLATE,
    TOKENIZER,
    WEIGHTS,
    Conversion,
    check_files,
    check_task,
)
from shared.settings.yaml_file import NotYaml, read_yaml
from shared.tasks import Task
from shared.tasks.classify import LABEL_CHARACTERS
from shared.tasks.tag import Certainty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.runtimes.second_opinion import SecondOpinion

FORMAT: Final = 1
MANIFEST: Final = "bundle.yaml"
_SHORT: Final = 40

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
LabelName = Annotated[str, Meta(min_length=1, max_length=LABEL_CHARACTERS)]
Side = Literal["left", "right"]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class MeasuredQuality(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How well the packed model did on one labelled set, over its first ``rows`` rows.

    ``mean_confidence`` above ``accuracy`` means that the model is surer than it should be.
    """

    rows: Annotated[int, Meta(ge=1)]
    accuracy: Annotated[float, Meta(ge=0, le=1)]
    mean_confidence: Annotated[float, Meta(ge=0, le=1)]


class MeasuredEntities(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How well a packed tagger did on one labelled set, over its first ``rows`` sentences.

    An entity counts if its type and both its ends are right; all sentences are counted together.
    """

    rows: Annotated[int, Meta(ge=1)]
    f1: Annotated[float, Meta(ge=0, le=1)]
    precision: Annotated[float, Meta(ge=0, le=1)]
    recall: Annotated[float, Meta(ge=0, le=1)]
    mean_confidence: Annotated[float, Meta(ge=0, le=1)]


class MeasuredTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How near the texts of a packed model came to those of people, as sacrebleu counts it.

    BLEU and chrF are of all rows together, on texts as they are written.
    """

    rows: Annotated[int, Meta(ge=1)]
    bleu: Annotated[float, Meta(ge=0, le=100)]
    chrf: Annotated[float, Meta(ge=0, le=100)]
    mean_confidence: Annotated[float, Meta(ge=0, le=1)]


class Confidences(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How sure the model is as a rule: quantiles of its confidences on texts of the sets ``of``.

    They lie at equal steps from the least to the largest; a new window starts from them.
    """

    prompts: Annotated[int, Meta(ge=1)]
    of: tuple[str, ...]
    quantiles: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=1)], ...], Meta(min_length=2, max_length=1_001)
    ]

    def __post_init__(self) -> None:
        """Refuse quantiles that fall."""
        if any(high < low for low, high in pairwise(self.quantiles)):
            raise ValueError("quantiles of confidences must rise, and these fall somewhere")


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``bundle.yaml`` says.

    ``labels`` is in the order of the model's outputs; ``confidence`` names what routing goes by:
    the largest probability (``shared.tasks.classify``), or what the bundle's ``head`` makes of it
    (``shared.runtimes.agreement_head``); ``answer`` says whether the head's expert has a say in
    answers, too (``shared.runtimes.second_opinion``), of which ``quality`` knows nothing: that is
    the model's alone. ``max_tokens`` counts the special tokens too, and ``truncation`` is the end
    at which what is beyond them is cut off. Shorter prompts of a batch are filled up with
    ``pad_token`` at the end that ``padding`` says. Of a model that writes ``max_tokens`` counts
    what it reads and writes together; ``conversion`` says how near it is to its original, and
    ``texts`` how good.
    ``files`` maps each file to its SHA-256.

    A tagger's ``certainty`` is what routing goes by (``shared.tasks.tag``), ``shapes`` says that it
    is told how each word is written (``shared.runtimes.words``), and ``entities`` how good it is.
    """

    format: Literal[1] = FORMAT
    name: Annotated[str, Meta(min_length=1)]
    version: Annotated[str, Meta(min_length=1)]
    task: Task = "classify"
    runtime: Literal["onnx", "genai", "ctranslate2"] = "onnx"
    precision: Literal["float32", "float16", "int8", "int4"] = "float32"
    labels: tuple[LabelName, ...] = ()
    confidence: ConfidenceKind = "max_probability"
    answer: Answers = "model"
    max_tokens: Annotated[int, Meta(ge=8)]
    truncation: Side = "right"
    padding: Side = "right"
    pad_token: Annotated[int, Meta(ge=0)] = 0
    source: str = ""
    licence: str = ""
    description: str = ""
    trained_on: tuple[str, ...] = ()
    quality: dict[str, MeasuredQuality] = {}
    certainty: Certainty = "mean"
    shapes: bool = False
    entities: dict[str, MeasuredEntities] = {}
    texts: dict[str, MeasuredTexts] = {}
    confidences: dict[Task, Confidences] = {}
    head: HeadManifest | None = None
    conversion: Conversion | None = None
    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    files: dict[FileName, Sha256] = {}


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
        for name, expected in manifest.files.items():
            verify_file(folder / name, expected)
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
        return sum((self.folder / name).stat().st_size for name in (*self.manifest.files, MANIFEST))


def hashes_in(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder but the manifest."""
    return {
        path.name: sha256_of(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }


def write_manifest(folder: Path, manifest: msgspec.Struct) -> None:
    """Write ``bundle.yaml``."""
    text = yaml.safe_dump(
        msgspec.to_builtins(manifest), sort_keys=False, allow_unicode=True, width=100
    )
    (folder / MANIFEST).write_text(text, encoding="utf-8")


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


def read_manifest(path: Path) -> Manifest:
    """Read a ``bundle.yaml``. Raises ``BundleError``."""
    tree = read_manifest_tree(path)
    if tree.get("format") != FORMAT:
        found = repr(tree.get("format"))
        found = found if len(found) <= _SHORT else f"{found[:_SHORT]}…"
        raise BundleError(
            f"{path}: format is {found}, but this version reads format {FORMAT}; "
            "upgrade recserve or pack the model again"
        )
    try:
        manifest = msgspec.convert(tree, Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: {error}; correct it or pack the model again") from error
    if len(set(manifest.labels)) < len(manifest.labels):
        raise BundleError(f"{path}: labels holds a name twice; correct it or pack the model again")
    return manifest


def read_manifest_tree(path: Path) -> dict[Any, Any]:
    """Return what a manifest holds, unchecked. Raises ``BundleError``."""
    try:
        tree = read_yaml(path)
    except FileNotFoundError:
        raise BundleError(
            f"{path.parent}: holds no {MANIFEST}, so it is no bundle; make one with recserve pack"
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    except NotYaml as error:
        raise BundleError(f"{path}: {error}; correct it or pack it again") from error
    if not isinstance(tree, dict):
        raise BundleError(f"{path}: must hold a mapping of keys to values; pack it again")
    return tree


def verify_file(path: Path, expected: str) -> None:
    """Hold a file against its SHA-256. Raises ``BundleError``."""
    if not path.is_file():
        raise BundleError(f"{path}: the file is missing; copy the whole bundle again")
    if sha256_of(path) != expected:
        raise BundleError(
            f"{path}: the file is not the one that was packed (its SHA-256 differs); "
            "copy the whole bundle again"
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
