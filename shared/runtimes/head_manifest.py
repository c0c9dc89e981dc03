"""What a bundle's manifest says of its agreement head, and how a head is opened from it.

A head belongs to one model: to its weights, its labels, and this version of the features. What does
not fit is refused before a prompt is scored by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from shared.errors import BundleError
from shared.runtimes.agreement_head import FEATURES, AgreementHead, Expert
from shared.runtimes.second_opinion import SecondOpinion

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 1
"""Of the n-grams, their hashes and the features: another version reads a table wrongly."""
TABLE: Final = "ngrams.bin"
REFIT: Final = "fit one with recserve pack --refit-head"
_SHORT: Final = 12

_Share = Annotated[float, Meta(ge=0, le=1)]
_Figure = tuple[float, float, float]


class HeldOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a head did on held-out texts: AUROC of "the teacher says the same", with intervals.

    ``saved`` has for shares of prompts that would go up the part of them that need not, for the
    same agreement with the teacher. Each is (value, low, high) of a 95 % interval.
    """

    texts: Annotated[int, Meta(ge=1)]
    agreed: _Share
    auroc_max_probability: _Figure
    auroc: _Figure
    saved: dict[str, _Figure] = {}


class FusedHeldOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What fusing did on held-out texts, beside the model's answers and their head.

    ``agreed`` and ``agreed_more`` are the share answered as the teacher does, and by how much it
    is more than the model's; ``right_more`` is how much more is right, of the ``labelled`` texts
    among them. ``saved`` has for shares of prompts that would go up by the model's own head the
    part of them that need not. Each figure is (value, low, high) of a 95 % interval.
    """

    texts: Annotated[int, Meta(ge=1)]
    agreed: _Share
    agreed_more: _Figure
    labelled: Annotated[int, Meta(ge=0)] = 0
    right_more: _Figure | None = None
    saved: dict[str, _Figure] = {}


class FusionManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How answers are fused: what a unit of the expert's scores counts.

    ``weights`` are the head's for answers that are fused, as ``HeadManifest.weights`` are for the
    model's own.
    """

    weight: Annotated[float, Meta(gt=0)]
    weights: tuple[float, ...]
    held_out: FusedHeldOut | None = None


class HeadManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A head: whom it was fitted for, and its numbers beside those in ``ngrams.bin``.

    ``model`` is the SHA-256 of the weights whose answers it judges, ``teacher`` the name of the
    model whose answers it foretells, ``texts`` how many texts it was fitted to. A weight of the
    table counts ``scale``; ``constants`` are the expert's, one for each label but the first;
    ``weights`` the head's own constant and one for each feature. ``fusion`` is there where the
    expert may have a say in answers, too.
    """

    version: int = VERSION
    model: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    labels: tuple[str, ...]
    teacher: str
    texts: Annotated[int, Meta(ge=1)]
    slots: Annotated[int, Meta(ge=1, le=1 << 24)]
    scale: Annotated[float, Meta(gt=0)]
    constants: tuple[float, ...]
    weights: tuple[float, ...]
    held_out: HeldOut | None = None
    fusion: FusionManifest | None = None


def check_head(head: HeadManifest, place: Path, *, model: str, labels: tuple[str, ...]) -> None:
    """Raise ``BundleError`` when the head is not of this model; ``model`` is its weights' hash."""
    if head.version != VERSION:
        raise BundleError(
            f"{place}: its head is of version {head.version}, but this recserve reads version "
            f"{VERSION}; {REFIT}"
        )
    if head.model != model:
        raise BundleError(
            f"{place}: its head was fitted to another model (whose weights have the SHA-256 "
            f"{head.model[:_SHORT]}…, and here it is {model[:_SHORT]}…); {REFIT}"
        )
    if head.labels != labels:
        raise BundleError(
            f"{place}: its head was fitted for the labels {', '.join(head.labels)}, but the model "
            f"has {', '.join(labels)}; {REFIT}"
        )
    fused = () if head.fusion is None else (head.fusion.weights,)
    for weights in (head.weights, *fused):
        if len(head.constants) != len(labels) - 1 or len(weights) != FEATURES + 1:
            raise BundleError(
                f"{place}: its head has {len(head.constants)} constants and {len(weights)} "
                f"weights, where {len(labels) - 1} and {FEATURES + 1} are wanted; {REFIT}"
            )


def open_second_opinion(
    head: HeadManifest, table: Path, *, fused: bool, foretells: bool
) -> SecondOpinion:
    """Read the table of a head that was checked; raises ``BundleError`` when it is cut.

    ``fused`` says that answers are fused, and ``foretells`` that confidences are the head's.
    """
    read = table.read_bytes()
    wanted = head.slots * len(head.constants)
    if len(read) != wanted:
        raise BundleError(f"{table}: has {len(read)} bytes, where its head wants {wanted}; {REFIT}")
    try:
        expert = Expert(read, scale=head.scale, constants=head.constants)
    except ValueError as error:
        raise BundleError(f"{table}: is not the table of this head: {error}; {REFIT}") from error
    fusion = head.fusion if fused else None
    weights = head.weights if fusion is None else fusion.weights
    return SecondOpinion(
        expert,
        weight=0.0 if fusion is None else fusion.weight,
        head=AgreementHead(expert, weights) if foretells else None,
    )
