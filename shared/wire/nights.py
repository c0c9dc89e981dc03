"""What an edge and the agent that trains its model at night say to each other; JSON.

A lesson is sent again until something is heard of it, so whoever hears it twice does it once: it is
known by the SHA-256 of its own bytes. Its files, and those of what came of it, are asked for piece
by piece (``shared.nodes.pieces``). Pure.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from shared.errors import MalformedMessage
from shared.wire.control import DETAIL_CHARACTERS, Digest
from shared.wire.manifest import ShippedFile

LESSON_BYTES: Final = 900_000
"""Of one message: enough for the chunks of some 18 GB."""
_FORM: Final = 1

_Form = Annotated[int, Meta(ge=_FORM, le=_FORM)]
_Many = Annotated[int, Meta(ge=0, le=1_000_000_000)]
_Short = Annotated[str, Meta(max_length=500)]
_Long = Annotated[str, Meta(max_length=20_000)]
_Files = Annotated[tuple[ShippedFile, ...], Meta(max_length=100)]

Stage = Literal["waits", "fetches", "learns", "packs", "taught", "failed"]
"""How far a lesson is: ``done`` of ``total`` lessons before it, bytes or steps; then its end."""


class LessonRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the base is to be trained: as ``memory.night`` of the edge says."""

    steps: Annotated[int, Meta(ge=1, le=1_000_000)]
    rank: Annotated[int, Meta(ge=1, le=512)]
    learning_rate: Annotated[float, Meta(gt=0, le=1)]
    new_rows: Annotated[int, Meta(ge=1, le=10_000)]
    old_rows: Annotated[int, Meta(ge=0, le=10_000)]
    shown_rows: Annotated[int, Meta(ge=0, le=10_000)]
    seed: _Many = 0
    instruction: _Long = ""


class LessonBundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be packed of it, and how: as the bundle that serves was."""

    task: Literal["classify", "generate"]
    name: Annotated[str, Meta(min_length=1, max_length=500)]
    version: Annotated[str, Meta(min_length=1, max_length=500)]
    precision: Literal["float32", "float16", "int8", "int4"]
    confidence: _Short
    max_tokens: Annotated[int, Meta(ge=8, le=10_000_000)]
    licence: _Long = ""
    description: _Long = ""


class NightLesson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an edge's model is to learn in one night.

    ``base`` is the SHA-256 of the weights that it learns on, which both sides have. ``rows`` is
    the file of what is learned, ``warm`` are those of the adapter to begin with; empty: a new one.
    """

    night: Annotated[int, Meta(ge=1)]
    base: Digest
    recipe: LessonRecipe
    bundle: LessonBundle
    rows: ShippedFile
    warm: Annotated[tuple[ShippedFile, ...], Meta(max_length=8)] = ()
    form: _Form = _FORM

    @property
    def files(self) -> tuple[ShippedFile, ...]:
        """All files that it is made of."""
        return (self.rows, *self.warm)

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


class LessonState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the lesson of one night is, and what came of it: a model, or why there is none."""

    night: Annotated[int, Meta(ge=1)]
    lesson: Digest
    stage: Stage
    done: Annotated[int, Meta(ge=0)] = 0
    total: Annotated[int, Meta(ge=0)] = 0
    why: Annotated[str, Meta(max_length=DETAIL_CHARACTERS)] = ""
    adapter: _Files = ()
    bundle: _Files = ()
    form: _Form = _FORM

    @property
    def files(self) -> tuple[ShippedFile, ...]:
        """All files that came of it."""
        return (*self.bundle, *self.adapter)

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


class LetGo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That an edge has what came of a lesson, or wants it no more: nothing of it is to be kept."""

    lesson: Digest
    form: _Form = _FORM


NightWord = TypeVar("NightWord", NightLesson, LessonState, LetGo)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode_night(word: msgspec.Struct) -> bytes:
    """Return the payload of anything above. Raises ``MalformedMessage`` where it is too long."""
    payload = msgspec.json.encode(word)
    if len(payload) > LESSON_BYTES:
        raise MalformedMessage(
            f"a {type(word).__name__} of {len(payload)} bytes exceeds {LESSON_BYTES}: its files "
            "are too large to be sent"
        )
    return payload


def decode_night(kind: type[NightWord], payload: bytes) -> NightWord:
    """Read a message of one kind. Raises ``MalformedMessage``."""
    if len(payload) > LESSON_BYTES:
        raise MalformedMessage(f"{len(payload)} bytes exceed {LESSON_BYTES}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        word: NightWord = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a {kind.__name__}: {error}") from error
    if isinstance(word, (NightLesson, LessonState)):
        for file in word.files:
            file.hashes()
    return word


def lesson_digest(lesson: NightLesson) -> str:
    """Return what a lesson is known by."""
    return hashlib.sha256(encode_night(lesson)).hexdigest()
