"""What an agent says of itself to everybody, and how it looks on the wire. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shared.errors import MalformedMessage
from shared.messages import Task
from shared.standing import EPOCHS

_STATUS_BYTES = 4096

_Milliseconds = Annotated[float, msgspec.Meta(ge=0)]
_Epoch = Annotated[int, msgspec.Meta(ge=0, lt=EPOCHS)]


class Load(msgspec.Struct, frozen=True):
    """How long a prompt that came now would wait, and how long one takes, in milliseconds."""

    wait_ms: _Milliseconds = 0.0
    service_ms: _Milliseconds = 0.0


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an agent says of itself; JSON on the wire, so that people can read it too.

    ``epoch`` orders the lives of one agent, and ``boot`` tells them apart.
    """

    state: Literal["online", "offline"]
    epoch: _Epoch
    tasks: tuple[Task, ...] = ()
    model: str = ""
    load: Load = Load()
    heartbeat_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 5.0
    boot: Annotated[str, msgspec.Meta(max_length=32)] = ""


_statuses = msgspec.json.Decoder(Status)


def decode_status(payload: bytes) -> Status:
    """Read a status. Raises ``MalformedMessage``."""
    if len(payload) > _STATUS_BYTES:
        raise MalformedMessage(f"a status of {len(payload)} bytes exceeds {_STATUS_BYTES}")
    try:
        return _statuses.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a status: {error}") from error
