"""What people may ask of a memory, and how it looks on the wire: JSON, pure."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from edge_agent.memory.entries import Entry
from shared.errors import MalformedMessage

REQUEST_BYTES: Final = 256 * 1024
PAGE: Final = 100
"""Entries in one message, at most."""
_Text = Annotated[str, Meta(max_length=8_000)]
_Decoded = TypeVar("_Decoded")
_Moment = Annotated[float, Meta(ge=0)]


class ShowMemory(msgspec.Struct, frozen=True, tag_field="do", tag="show"):
    """How much is remembered, of whom, and how well that does."""


class SearchMemory(msgspec.Struct, frozen=True, tag_field="do", tag="search"):
    """The entries that have a text in them, then those that are like it."""

    text: _Text
    most: Annotated[int, Meta(ge=1, le=PAGE)] = 20


class ForgetEntries(msgspec.Struct, frozen=True, tag_field="do", tag="forget"):
    """Forget the entries for which everything holds that is given."""

    entries: Annotated[tuple[int, ...], Meta(max_length=10_000)] = ()
    containing: _Text = ""
    before_s: _Moment | None = None
    version: _Text = ""
    owner: _Text = ""


class ExportEntries(msgspec.Struct, frozen=True, tag_field="do", tag="export"):
    """The next entries after an id, those that were learned among them."""

    after: Annotated[int, Meta(ge=0)] = 0


class ImportEntries(msgspec.Struct, frozen=True, tag_field="do", tag="import"):
    """Entries of another memory, to be kept here under other ids."""

    entries: Annotated[tuple[Entry, ...], Meta(max_length=PAGE)]


class CheckMemory(msgspec.Struct, frozen=True, tag_field="do", tag="check"):
    """Whether what is on the disk holds together."""


class ReportDays(msgspec.Struct, frozen=True, tag_field="do", tag="report"):
    """What was asked and answered on each of the latest days."""

    most: Annotated[int, Meta(ge=1, le=400)] = 30


MemoryRequest: TypeAlias = (
    ShowMemory
    | SearchMemory
    | ForgetEntries
    | ExportEntries
    | ImportEntries
    | CheckMemory
    | ReportDays
)


class MemoryAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that comes over the wire, and what its answer is known by."""

    id: Annotated[str, Meta(max_length=64)]
    request: MemoryRequest


class MemoryAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one: an answer, or a sentence that says why there is none."""

    id: str
    answer: dict[str, Any] = {}
    error: str = ""


class MemoryEpoch(msgspec.Struct, frozen=True):
    """The moment before which no remembered answer counts, in seconds since 1970."""

    not_before_s: _Moment


_asks = msgspec.json.Decoder(MemoryAsk)
_answers = msgspec.json.Decoder(MemoryAnswer)
_epochs = msgspec.json.Decoder(MemoryEpoch)


def decode_ask(payload: bytes) -> MemoryAsk:
    """Read a request. Raises ``MalformedMessage``."""
    if len(payload) > REQUEST_BYTES:
        raise MalformedMessage(f"a request of {len(payload)} bytes exceeds {REQUEST_BYTES}")
    return _decoded(_asks, payload, "request to a memory")


def decode_answer(payload: bytes) -> MemoryAnswer:
    """Read an answer. Raises ``MalformedMessage``."""
    return _decoded(_answers, payload, "answer of a memory")


def decode_epoch(payload: bytes) -> MemoryEpoch:
    """Read an epoch. Raises ``MalformedMessage``."""
    return _decoded(_epochs, payload, "epoch of memories")


def _decoded(decoder: msgspec.json.Decoder[_Decoded], payload: bytes, what: str) -> _Decoded:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a {what}: {error}") from error
