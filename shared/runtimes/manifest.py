"""What ``bundle.yaml`` says of a model that answers prompts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from shared.errors import BundleError
from shared.messages import ConfidenceKind
from shared.runtimes.bundle_files import FORMAT, FileName, Sha256, Side, read_manifest_tree
from shared.runtimes.head_manifest import HeadManifest
from shared.runtimes.model_settings import Answers
from shared.runtimes.text_manifest import Conversion
from shared.tasks import Task
from shared.tasks.classify import LABEL_CHARACTERS
from shared.tasks.tag import Certainty

if TYPE_CHECKING:
    from pathlib import Path

_SHORT: Final = 40

LabelName = Annotated[str, Meta(min_length=1, max_length=LABEL_CHARACTERS)]


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
