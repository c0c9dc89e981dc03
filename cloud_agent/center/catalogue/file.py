"""The file of measured models: what ``recserve models measure`` writes and placement reads.

One entry for each bundle, by its digest: what it is, how good it was found to be, and what it costs
on each class of node that somebody measured it on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from cloud_agent.center.catalogue.cards import Catalogue, ModelCard
from shared.errors import DataError
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT: Final = 1
_Amount = Annotated[float, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class MeasuredGrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mean grade of a model's answers to one kind of job, over so many ``rows``.

    ``source`` says where that is known from: a file of labelled rows, or the bundle's own word.
    """

    grade: _Share
    rows: Annotated[int, Meta(ge=1)]
    source: str


class MeasuredOn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs on one class of node.

    ``load_s`` is from nothing to ready, ``memory_bytes`` what the process grew by for it,
    ``prompt_s`` the median time of one prompt alone, and ``token_s`` of one token, where it writes
    any. ``times`` are those that ``recserve plan`` goes by.
    """

    measured: str
    machine: str
    cores: Annotated[int, Meta(ge=1)]
    threads: Annotated[int, Meta(ge=1)]
    load_s: _Amount
    memory_bytes: _Amount
    prompt_s: _Amount
    token_s: _Amount | None = None
    times: msgspec.Raw = msgspec.Raw(b"null")


class MeasuredModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bundle. ``grades`` are by kind of job, ``on`` by class of node."""

    name: str
    version: str
    digest: str
    task: str
    size_bytes: _Amount
    grades: dict[str, MeasuredGrade]
    on: dict[str, MeasuredOn]


class CatalogueFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that was measured."""

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    models: tuple[MeasuredModel, ...] = ()

    def with_model(self, model: MeasuredModel) -> CatalogueFile:
        """Return the file with one more; what was measured of it elsewhere stays."""
        others = tuple(each for each in self.models if each.digest != model.digest)
        for known in self.models:
            if known.digest == model.digest:
                model = msgspec.structs.replace(
                    model, on=known.on | model.on, grades=known.grades | model.grades
                )
        ordered = sorted((*others, model), key=lambda each: (each.name, each.version, each.digest))
        return msgspec.structs.replace(self, models=tuple(ordered))

    def find(self, digest: str) -> MeasuredModel | None:
        """Return what is known of a bundle."""
        return next((each for each in self.models if each.digest == digest), None)

    def classes(self) -> tuple[str, ...]:
        """Return every class of node that something was measured on, in the order of the file."""
        return tuple(dict.fromkeys(name for model in self.models for name in model.on))


def node_class_of(machine: str, cores: int) -> str:
    """Return the class of a node of which nothing but its machine is known."""
    return f"{machine or 'unknown'}-{cores}"


def read_catalogue(path: Path) -> CatalogueFile:
    """Read a file of measured models. Raises ``DataError`` that names it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=CatalogueFile)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); "
            "`recserve models measure` writes such a file"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no file of `recserve models measure`: {error}") from error


def write_catalogue(path: Path, catalogue: CatalogueFile) -> None:
    """Write the file, whole or not at all. Raises ``DataError``."""
    text = msgspec.json.format(msgspec.json.encode(catalogue), indent=2)
    try:
        write_atomically(path, text + b"\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def to_catalogue(file: CatalogueFile, node_class: str, tokens: Mapping[str, float]) -> Catalogue:
    """Return the cards of the models that were measured on one class of node, named by digest.

    ``tokens`` is how long answers of each kind are expected to be. A model that was graded for none
    of these kinds is left out, and a kind that it was not graded for gets the mean of the others.
    Raises ``DataError`` when nothing is left.
    """
    cards = [
        _card(model, model.on[node_class], tokens)
        for model in file.models
        if node_class in model.on and any(kind in model.grades for kind in tokens)
    ]
    if not cards:
        known = ", ".join(file.classes()) or "none"
        raise DataError(
            f"no model was measured on a node of class {node_class!r} and graded for "
            f"{', '.join(tokens)}; classes that were measured: {known}"
        )
    return Catalogue(cards, tokens)


def log_slowdown(file: CatalogueFile, node_class: str, reference: str) -> float:
    """Return the logarithm of how much slower one class of node is than another.

    Over the models that were measured on both; 0 where there are none.
    """
    ratios = [
        math.log(model.on[node_class].prompt_s / model.on[reference].prompt_s)
        for model in file.models
        if {node_class, reference} <= set(model.on)
        and min(model.on[node_class].prompt_s, model.on[reference].prompt_s) > 0
    ]
    return sum(ratios) / len(ratios) if ratios else 0.0


def _card(model: MeasuredModel, on: MeasuredOn, tokens: Mapping[str, float]) -> ModelCard:
    known = {kind: model.grades[kind].grade for kind in tokens if kind in model.grades}
    mean = sum(known.values()) / len(known)
    return ModelCard(
        name=model.digest,
        size_bytes=model.size_bytes,
        memory_bytes=on.memory_bytes,
        load_s=on.load_s,
        token_s=on.prompt_s if on.token_s is None else on.token_s,
        quality={kind: known.get(kind, mean) for kind in tokens},
    )
