"""What an agent says of itself to everybody, and how it looks on the wire. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from shared.errors import MalformedMessage
from shared.membership.incarnation import EPOCHS
from shared.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Collection

VERSION: Final = 5
"""Of the form of a status; from a newer one, fields that we do not know are passed over."""
SOURCED_SINCE: Final = 5
"""Agents of this version know prompts and results of version 3 (``shared.wire.codec``)."""
DETAIL_CHARACTERS: Final = 300
_STATUS_BYTES = 4096
_LABELS_BYTES = 256

_Milliseconds = Annotated[float, msgspec.Meta(ge=0)]
_Epoch = Annotated[int, msgspec.Meta(ge=0, lt=EPOCHS)]


class Load(msgspec.Struct, frozen=True):
    """How long a prompt that came now would wait, and how long one takes, in milliseconds."""

    wait_ms: _Milliseconds = 0.0
    service_ms: _Milliseconds = 0.0


class Reload(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the last time that an agent was asked to exchange its model.

    ``number`` counts those times in the life of the process; ``outcome`` is empty while it is under
    way. ``detail`` says why the model before answers on, or what else there is to know.
    """

    number: Annotated[int, msgspec.Meta(ge=1)]
    outcome: Literal["", "exchanged", "unchanged", "rolled back"] = ""
    detail: Annotated[str, msgspec.Meta(max_length=DETAIL_CHARACTERS)] = ""


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an agent says of itself; JSON on the wire, so that people can read it too.

    ``epoch`` orders the lives of one agent, and ``boot`` tells them apart. ``labels`` is what
    ``name_labels`` makes of the model's: agents whose models say different things do not answer for
    each other. ``bundle`` is the short digest of the model, where it has one; ``confidence_kind``
    says which number the confidences of its hops are, one of ``shared.messages.ConfidenceKind``
    unless a newer agent knows another.
    """

    state: Literal["online", "offline"]
    epoch: _Epoch
    tasks: tuple[Task, ...] = ()
    model: str = ""
    load: Load = Load()
    heartbeat_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 5.0
    boot: Annotated[str, msgspec.Meta(max_length=32)] = ""
    labels: Annotated[str, msgspec.Meta(max_length=2 * _LABELS_BYTES)] = ""
    version: Annotated[int, msgspec.Meta(ge=1)] = 1
    bundle: Annotated[str, msgspec.Meta(max_length=64)] = ""
    reload: Reload | None = None
    confidence_kind: Annotated[str, msgspec.Meta(max_length=32)] = ""


class _Strict(Status, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A status of a version that we know all of."""


_strict = msgspec.json.Decoder(_Strict)
_statuses = msgspec.json.Decoder(Status)


def name_labels(labels: Collection[str]) -> str:
    """Return one short text for a set of labels, whatever their order: equal if they are.

    Few short labels are there to be read; of many there is a digest.
    """
    text = json.dumps(sorted(labels), ensure_ascii=False)
    if len(text.encode()) <= _LABELS_BYTES:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{len(labels)} labels, sha256 {digest}"


NO_LABELS: Final = name_labels(())
"""Said by agents whose models are told the labels by each prompt, or have no use for any."""


def encode_status(status: Status) -> bytes:
    """Return the payload of a status."""
    return msgspec.json.encode(status)


def decode_status(payload: bytes) -> Status:
    """Read a status. Raises ``MalformedMessage``."""
    if len(payload) > _STATUS_BYTES:
        raise MalformedMessage(f"a status of {len(payload)} bytes exceeds {_STATUS_BYTES}")
    try:
        status = _statuses.decode(payload)
        if status.version <= VERSION:
            _strict.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a status: {error}") from error
    return status
