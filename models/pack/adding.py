"""Give a bundle an agreement head: ask student and teacher, fit, and keep it only if it helps."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from models.pack.expected import quantiles
from models.pack.folders import beside
from models.pack.head import SLOTS, Answered, fit_head
from models.pack.head_words import describe, describe_fusion, spell
from models.pack.labelled import read_columns, read_texts
from models.pack.teacher import SHOWN, TeacherServer, answers, ask_teacher
from shared.errors import BundleError, DataError
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.head_manifest import (
    TABLE,
    FusedHeldOut,
    FusionManifest,
    HeadManifest,
    HeldOut,
)
from shared.runtimes.manifest import Confidences
from shared.runtimes.text_manifest import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from models.pack.head import FittedFusion, FittedHead
    from models.pack.head_gain import Figure, HeadGain
    from shared.runtimes.model_settings import Answers

    Floats = NDArray[np.float64]

LEAST_TEXTS: Final = 500
_DIGITS: Final = 6


@dataclass(frozen=True)
class HeadRequest:
    """A head that is wanted: whose answers it foretells, and TSV files with texts to learn from.

    ``teacher`` is a bundle, a folder or hub id of transformers, or a server. ``labelled`` are such
    files with the column ``label`` too, for the expert alone; ``answer`` is what the bundle is to
    say of its answers, none: what it says now. ``slots`` is the size of the table, a power of two,
    in bytes for each label but the first.
    """

    teacher: str | TeacherServer
    files: tuple[Path, ...]
    labelled: tuple[Path, ...] = ()
    answer: Answers | None = None
    slots: int = SLOTS
    seed: int = 0


@dataclass(frozen=True)
class HeadTexts:
    """Different texts; ``labelled`` has names or numbers of labels, of these texts or others."""

    texts: tuple[str, ...]
    labelled: dict[str, str]


def read_head_texts(request: HeadRequest) -> HeadTexts:
    """Read the column ``text`` of TSV files, and ``label`` of labelled ones.

    Raises ``DataError`` naming the file and row that is wrong, or when the texts are too few.
    """
    found = dict.fromkeys(t for path in request.files for t in read_texts(path) if t.strip())
    if len(found) < LEAST_TEXTS:
        places = ", ".join(map(str, request.files)) or "no file"
        raise DataError(
            f"--texts: {places} has {len(found)} different texts, and a head needs {LEAST_TEXTS} "
            "at least; some thousands are better"
        )
    labelled: dict[str, str] = {}
    for path in request.labelled:
        rows = zip(*read_columns(path, ("text", "label")), strict=True)
        labelled |= {text: label for text, label in rows if text.strip()}
    return HeadTexts(tuple(found), labelled)


def refit_head(folder: Path, request: HeadRequest, console: Console) -> Bundle:
    """Give the bundle in a folder another head, or its first; all else of it stays.

    Raises as ``add_head`` does, and then leaves the folder as it was.
    """
    bundle, asked = Bundle.open(folder), read_head_texts(request)
    with beside(folder.resolve()) as work:
        copy = add_head(copy_of(bundle, work / "copy"), request, asked, console)
        for name in (TABLE, MANIFEST):  # a bundle is torn between the two, and then refused
            (copy.folder / name).replace(folder / name)
    return Bundle.open(folder)


def add_head(bundle: Bundle, request: HeadRequest, asked: HeadTexts, console: Console) -> Bundle:
    """Fit a head for the bundle, write it into its folder, and say what it brings.

    Raises ``BundleError`` when the teacher does not fit, a model fails on a text or the head does
    not help, and as ``ask_teacher`` does; the bundle is then as it was.
    """
    labels = bundle.manifest.labels
    labelled = _indexes(asked.labelled, labels)
    taught = ask_teacher(request.teacher, asked.texts, labels, console)
    texts = taught.texts
    student = _answers_of(bundle, texts, console)
    answered = Answered(texts, student, taught.probabilities, labelled)
    if answered.agreed.all():
        raise BundleError(
            f"{bundle.manifest.name} answers all {len(texts):,} texts as its teacher "
            f"{taught.teacher} does, so a head has nothing to tell; give other texts or "
            "another teacher"
        )
    with console.status(f"fitting a head to {len(texts):,} texts"):
        fitted = fit_head(answered, slots=request.slots, seed=request.seed)
    console.print(describe(fitted.gain))
    console.print(describe_fusion(fitted.fusion))
    names = tuple(f"{path.parent.name}/{path.name}" for path in request.files)
    return write_head(
        bundle,
        fitted,
        teacher=taught.teacher,
        texts=len(texts),
        of=names,
        answer=request.answer or bundle.manifest.answer,
    )


def _answers_of(bundle: Bundle, texts: Sequence[str], console: Console) -> Floats:
    """Return what the bundle's model says of texts, one at a time as a device would."""
    model = load_model(
        ModelSettings(source=str(bundle.folder), threads=0, batch_prompts=1, answer="model")
    )
    try:
        return answers(model, texts, bundle.manifest.labels, f"asking {model.name}", console)
    finally:
        model.close()


def write_head(
    bundle: Bundle,
    fitted: FittedHead,
    *,
    teacher: str,
    texts: int,
    of: tuple[str, ...],
    answer: Answers = "model",
) -> Bundle:
    """Write table and manifest; routing goes by the head from then on, answers as ``answer`` says.

    New windows start from the confidences that it gave the held-out texts ``of`` these files.
    Raises ``BundleError`` where the head, or fusing that is asked for, would not help.
    """
    _refuse_unhelpful(bundle, fitted, answer)
    manifest, fusion = bundle.manifest, fitted.fusion
    confidences = fitted.confidences
    if fusion is not None and answer == "fused":
        confidences = fusion.confidences
    expected = Confidences(
        prompts=fitted.gain.texts, of=of, quantiles=tuple(quantiles(confidences.tolist()))
    )
    head = HeadManifest(
        model=manifest.files[WEIGHTS],
        labels=manifest.labels,
        teacher=teacher,
        texts=texts,
        slots=len(fitted.table.weights) // len(fitted.table.constants),
        scale=fitted.table.scale,
        constants=fitted.table.constants,
        weights=fitted.weights,
        held_out=_held_out(fitted.gain),
        fusion=None if fusion is None else _fusion_manifest(fusion),
    )
    (bundle.folder / TABLE).write_bytes(fitted.table.weights)
    changed = msgspec.structs.replace(
        manifest,
        confidence="agreement",
        answer=answer,
        head=head,
        confidences={manifest.task: expected},
    )
    return Bundle.write(bundle.folder, changed)


def _refuse_unhelpful(bundle: Bundle, fitted: FittedHead, answer: Answers) -> None:
    """Raise ``BundleError`` where the head, or fusing that is asked for, would not help."""
    gain, fusion = fitted.gain, fitted.fusion
    if not gain.helps:
        raise BundleError(
            f"{bundle.folder}: the head does not help: on {gain.texts:,} held-out texts its AUROC "
            f"is {spell(gain.after)}, and that of the largest probability {spell(gain.before)}; "
            "it was not written; give more texts, or leave --teacher out"
        )
    if answer == "fused" and (fusion is None or not fusion.gain.helps):
        raise BundleError(
            f"{bundle.folder}: fused answers do not help on {gain.texts:,} held-out texts; the "
            "head was not written; leave --answer fused out, or give more texts"
        )


def _held_out(gain: HeadGain) -> HeldOut:
    return HeldOut(
        texts=gain.texts,
        agreed=round(gain.agreed, _DIGITS),
        auroc_max_probability=_rounded(gain.before),
        auroc=_rounded(gain.after),
        saved={f"{rate}": _rounded(saved) for rate, saved in gain.saved.items()},
    )


def _fusion_manifest(fusion: FittedFusion) -> FusionManifest:
    gain = fusion.gain
    return FusionManifest(
        weight=fusion.weight,
        weights=fusion.weights,
        held_out=FusedHeldOut(
            texts=gain.texts,
            agreed=round(gain.agreed, _DIGITS),
            agreed_more=_rounded(gain.more),
            labelled=gain.labelled,
            right_more=None if gain.right_more is None else _rounded(gain.right_more),
            saved={f"{rate}": _rounded(saved) for rate, saved in gain.saved.items()},
        ),
    )


def copy_of(bundle: Bundle, folder: Path) -> Bundle:
    """Copy the files that a bundle's manifest names, and no other, into a new folder."""
    folder.mkdir()
    for name in (*bundle.manifest.files, MANIFEST):
        shutil.copyfile(bundle.folder / name, folder / name)
    return Bundle.open(folder)


def _indexes(labelled: Mapping[str, str], labels: Sequence[str]) -> dict[str, int]:
    """Return each text with the index of its label, from its name or its number from 0."""
    known: dict[str, int] = {
        **{str(index): index for index in range(len(labels))},
        **{name: index for index, name in enumerate(labels)},
    }
    for text, label in labelled.items():
        if label not in known:
            raise DataError(
                f"--labels: the text {text[:SHOWN]!r} has the label {label[:SHOWN]!r}, but the "
                f"model knows {', '.join(labels)}; use these or their numbers from 0"
            )
    return {text: known[label] for text, label in labelled.items()}


def _rounded(figure: Figure) -> tuple[float, float, float]:
    value, low, high = (round(number, _DIGITS) for number in figure)
    return value, low, high
