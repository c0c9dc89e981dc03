"""What a row of the outbox holds: an escalated prompt, who asked, and in time its result.

MessagePack, strict, and what was read can be served: every figure lies where it may. Who asked is
the last, and options stand before that where there are any: rows without are as ever. The time left
is what it was when the prompt was accepted: a restart gives it all of that again, since no clock is
known to have run through.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar

import msgspec

from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.errors import MalformedMessage
from shared.messages import Failure, Hop, Prompt, Provenance, Result
from shared.tasks import Answer, Task
from shared.wire.topics import is_name

if TYPE_CHECKING:
    from device_agent.delivery.outbox_file import OutboxRow

_Value = TypeVar("_Value")
_LONGEST_S: Final = 1e9
_KIND_CHARACTERS: Final = 32
_Topic = Annotated[str, msgspec.Meta(pattern=r"^[^+#\x00]*$", max_length=65_535)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ReplyTo(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where an answer goes that nobody in this process waits for, and what is wanted there.

    ``echo`` is the asker's own id of the question. With ``answer_to`` the answer goes on that
    topic, with the ``correlation`` that its asker knows it by; ``receipt`` if it was promised one.
    """

    echo: str | int
    revisions: bool = False
    answer_to: _Topic = ""
    correlation: bytes = b""
    receipt: bool = False


class Stored(NamedTuple):
    """A prompt as an earlier run of the device left it; ``result`` once it was resolved."""

    escalated: Escalation
    asker: ReplyTo | None
    result: Result | None


class _StoredHop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    tier: str
    agent: str
    confidence: _Share
    threshold: _Share
    elapsed_us: Annotated[int, msgspec.Meta(ge=0)]
    confidence_kind: Annotated[str, msgspec.Meta(max_length=_KIND_CHARACTERS)] = ""
    probability: _Share | None = None
    source: Provenance | None = None


class _Payload(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    text: str
    task: Task
    remaining_s: Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_S)]
    hop: _StoredHop
    copy: bool
    answer: Answer | Failure
    up: Annotated[int, msgspec.Meta(ge=1)]
    asker: ReplyTo | None


class _PayloadWithOptions(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    text: str
    task: Task
    remaining_s: Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_S)]
    hop: _StoredHop
    copy: bool
    answer: Answer | Failure
    up: Annotated[int, msgspec.Meta(ge=1)]
    options: Annotated[dict[str, Any], msgspec.Meta(min_length=1)]
    asker: ReplyTo | None


class _Resolved(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    outcome: Answer | Failure
    hops: tuple[_StoredHop, ...]
    degraded: str


_encoder = msgspec.msgpack.Encoder()
_NINE: Final = b"\x99"  # MessagePack: an array of nine
_payloads = msgspec.msgpack.Decoder(_Payload)
_payloads_with_options = msgspec.msgpack.Decoder(_PayloadWithOptions)
_results = msgspec.msgpack.Decoder(_Resolved)


def encode_escalated(escalated: Escalation, asker: ReplyTo | None) -> bytes:
    """Return the payload of a row."""
    prompt, own = escalated.prompt, escalated.local_result
    remaining_s = min(max(prompt.deadline_s - time.monotonic(), 0.0), _LONGEST_S)
    hop, up = _pack(prompt.hops[-1]), escalated.routing.up
    fields = (prompt.text, prompt.task, remaining_s, hop, prompt.copy, own.outcome, up)
    options = (prompt.options,) if prompt.options else ()
    return _encoder.encode((*fields, *options, asker))


def encode_resolved(result: Result) -> bytes:
    """Return the result of a row."""
    hops = tuple(map(_pack, result.hops))
    return _encoder.encode(_Resolved(result.outcome, hops, result.degraded))


def decode(row: OutboxRow, origin: str) -> Stored:
    """Read a row of the outbox of ``origin``. Raises ``MalformedMessage``.

    A result that cannot be read is none: the prompt still waits for one.
    """
    options: dict[str, Any] = {}
    read: _Payload | _PayloadWithOptions
    if row.payload[:1] == _NINE:
        read = _decode(_payloads_with_options, row.payload)
        options = read.options
    else:
        read = _decode(_payloads, row.payload)
    now_s, hops = time.monotonic(), (_unpack(read.hop),)
    deadline_s = now_s + read.remaining_s
    prompt = Prompt(
        row.id,
        origin,
        read.task,
        read.text,
        deadline_s,
        hops,
        read.copy,
        options=options,
        sourced=True,
    )
    own = Result(row.id, read.answer, hops)
    seen = Observation(read.hop.confidence, now_s, prompt.size_bytes)
    verdict = Routing(read.up, read.hop.threshold)
    return Stored(Escalation(prompt, own, seen, verdict), read.asker, _result(row))


def asker_of(row: OutboxRow) -> ReplyTo | None:
    """Return who waits for a row that cannot be read, if that much of it can be."""
    try:
        return msgspec.convert(msgspec.msgpack.decode(row.payload)[-1], ReplyTo | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return None


def _result(row: OutboxRow) -> Result | None:
    if row.result is None:
        return None
    try:
        read = _decode(_results, row.result)
        hops = tuple(map(_unpack, read.hops))
    except MalformedMessage:
        return None
    if not hops and not isinstance(read.outcome, Failure):
        return None  # an answer that nobody gave
    return Result(row.id, read.outcome, hops, read.degraded)


def _pack(hop: Hop) -> _StoredHop:
    """Return a hop as it is stored."""
    return _StoredHop(
        hop.tier,
        hop.agent,
        hop.confidence,
        hop.threshold,
        hop.elapsed_us,
        hop.confidence_kind,
        hop.probability,
        hop.source,
    )


def _unpack(hop: _StoredHop) -> Hop:
    if not (is_name(hop.tier) and is_name(hop.agent)):
        raise MalformedMessage(f"a hop of tier {hop.tier!r} and agent {hop.agent!r}: no such names")
    return Hop(*msgspec.structs.astuple(hop))


def _decode(decoder: msgspec.msgpack.Decoder[_Value], payload: bytes) -> _Value:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a row of this version's outbox: {error}") from error
