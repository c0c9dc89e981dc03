"""What travels between agents: compact, versioned, strict MessagePack arrays.

A prompt is ``[1, id, remaining_ms, text, hops, copy]``, one with options ``[2, …, copy, options]``
and a result ``[1, id, outcome, hops, degraded]``. In version 3 a prompt is the same, with options
or without, from one who also reads a result that says which memory it is from: ``[3, …, degraded,
source]``. Only agents whose status says that they know version 3 are sent it.
Origin, sender and task stand in the topic and are not said twice: the last hop of a prompt leaves
its agent empty where that is the sender, every other one where it is the origin.
A result carries only the hops that the origin does not know already. A notice has the form of a
result, and a version of its own. Confidences travel in parts per billion: five bytes instead of
nine, precise beyond a 32-bit float. A first escalation costs at most 51 bytes beyond the text, its
options and the name of its tier, a further hop 20 plus the name of its tier and, once it is not the
last, of its agent.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec

from shared.errors import MalformedMessage, OtherVersion
from shared.messages import (
    MODEL_CHARACTERS,
    REASON_CHARACTERS,
    Failure,
    Hop,
    Prompt,
    Provenance,
    Result,
    Way,
)
from shared.tasks import Answer
from shared.wire.topics import NAME_BYTES, PromptAddress, is_name

VERSION: Final = 1
"""Of prompts and results."""
OPTIONS_VERSION: Final = 2
"""Of prompts with options: to agents of before they mean nothing, and all other prompts do."""
SOURCED_VERSION: Final = 3
"""Of prompts whose answers may say what of a memory they are from, and of those answers."""
NOTICE_VERSION: Final = 2
"""Of notices, which name their agent since 2."""
WORKING: Final = "working"
"""Code of the notice that a prompt is in an agent's hands: wait on."""
PAYLOAD_BYTES: Final = 1 << 20
_BILLION = 1_000_000_000
_FOUR_BYTES = 0xFFFF_FFFF
_OPTIONS_BYTE: Final = bytes([OPTIONS_VERSION])
_SOURCED_BYTE: Final = bytes([SOURCED_VERSION])
_ARRAY, _NO_ARRAY, _POSITIVE = 0x90, 0xA0, 0x80  # MessagePack: a short array, a small number

_ResultVersion = Annotated[int, msgspec.Meta(ge=VERSION, le=NOTICE_VERSION)]
_Share = Annotated[int, msgspec.Meta(ge=0, le=_BILLION)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_FOUR_BYTES)]
_Name = Annotated[str, msgspec.Meta(max_length=NAME_BYTES)]
_ModelName = Annotated[str, msgspec.Meta(max_length=MODEL_CHARACTERS)]
_Reason = Annotated[str, msgspec.Meta(max_length=REASON_CHARACTERS)]
_Text = Annotated[str, msgspec.Meta(max_length=PAYLOAD_BYTES)]


class Notice(msgspec.Struct, frozen=True, array_like=True, tag=3, forbid_unknown_fields=True):
    """An agent's word to whoever sent it a prompt: it will not take it now, or is at work on it."""

    code: _Name
    agent: _Name = ""


class _WireHop(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    tier: _Name
    agent: _Name
    confidence: _Share
    threshold: _Share
    elapsed_us: _Count


_Hops = Annotated[tuple[_WireHop, ...], msgspec.Meta(max_length=8)]


class _Prompt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    id: UUID
    remaining_ms: _Count
    text: _Text
    hops: _Hops
    copy: bool


class _PromptWithOptions(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[2]
    id: UUID
    remaining_ms: _Count
    text: _Text
    hops: _Hops
    copy: bool
    options: Annotated[dict[str, Any], msgspec.Meta(min_length=1)]


class _SourcedPrompt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[3]
    id: UUID
    remaining_ms: _Count
    text: _Text
    hops: _Hops
    copy: bool
    options: dict[str, Any] = {}


class _WireSource(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    way: Way
    model: _ModelName
    version: _ModelName
    entries: Annotated[tuple[_Count, ...], msgspec.Meta(max_length=16)]


class _SourcedResult(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[3]
    id: UUID
    outcome: Answer | Failure
    hops: Annotated[tuple[_WireHop, ...], msgspec.Meta(min_length=1, max_length=8)]
    degraded: _Reason
    source: _WireSource


class _Result(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: _ResultVersion
    id: UUID
    outcome: Answer | Failure | Notice
    hops: _Hops
    degraded: _Reason


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_prompts = msgspec.msgpack.Decoder(_Prompt)
_prompts_with_options = msgspec.msgpack.Decoder(_PromptWithOptions)
_sourced_prompts = msgspec.msgpack.Decoder(_SourcedPrompt)
_results = msgspec.msgpack.Decoder(_Result)
_sourced_results = msgspec.msgpack.Decoder(_SourcedResult)
_Decoded = TypeVar("_Decoded")


def encode_prompt(prompt: Prompt, now_s: float) -> bytes:
    """Return the payload of an escalated prompt; ``now_s`` on the clock of its deadline."""
    remaining_ms = int(min(max(0.0, (prompt.deadline_s - now_s) * 1000), _FOUR_BYTES))
    known = _known(prompt.origin, prompt.sender, len(prompt.hops))
    hops = tuple(map(_pack, prompt.hops, known))
    options = (prompt.options,) if prompt.options else ()
    if options or prompt.sourced:
        version = SOURCED_VERSION if prompt.sourced else OPTIONS_VERSION
        fields = (prompt.id, remaining_ms, prompt.text, hops, prompt.copy)
        return _encoder.encode((version, *fields, *options))
    return _encoder.encode(
        _Prompt(VERSION, prompt.id, remaining_ms, prompt.text, hops, prompt.copy)
    )


def decode_prompt(payload: bytes, address: PromptAddress, *, now_s: float) -> Prompt:
    """Read a prompt; who it is from comes from its topic. Raises ``MalformedMessage``."""
    options: dict[str, Any] = {}
    read: _Prompt | _PromptWithOptions | _SourcedPrompt
    if payload[1:2] == _SOURCED_BYTE:
        read = _decode(_sourced_prompts, payload, "prompt")
        options = read.options
    elif payload[1:2] == _OPTIONS_BYTE:
        read = _decode(_prompts_with_options, payload, "prompt")
        options = read.options
    else:
        read = _decode(_prompts, payload, "prompt")
    _, task, origin, sender = address
    hops = tuple(map(_unpack, read.hops, _known(origin, sender, len(read.hops))))
    deadline_s = now_s + read.remaining_ms / 1000
    return Prompt(
        read.id,
        origin,
        task,
        read.text,
        deadline_s,
        hops,
        read.copy,
        sender,
        options=options,
        sourced=read.version == SOURCED_VERSION,
    )


def encode_result(result: Result, *, known_hops: int, sourced: bool = False) -> bytes:
    """Return the payload of a result, less the first ``known_hops`` that its reader made itself.

    Where its reader can read that (``sourced``), it says what of a memory the answer is from.
    """
    hops = tuple(_pack(hop) for hop in result.hops[known_hops:])
    source = result.hops[-1].source if sourced and hops else None
    if source is not None and source.way != "model" and not isinstance(result.outcome, Failure):
        packed = _WireSource(source.way, source.model, source.version, source.entries)
        fields = (result.id, result.outcome, hops, result.degraded, packed)
        return _encoder.encode((SOURCED_VERSION, *fields))
    return _encoder.encode(_Result(VERSION, result.id, result.outcome, hops, result.degraded))


def encode_notice(prompt_id: UUID, code: str, agent: str) -> bytes:
    """Return the payload of an agent's word to the sender of a prompt."""
    return _encoder.encode(_Result(NOTICE_VERSION, prompt_id, Notice(code, agent), (), ""))


def decode_result(payload: bytes) -> Result | tuple[UUID, Notice]:
    """Read what came on a results topic. Raises ``MalformedMessage``."""
    if payload[1:2] == _SOURCED_BYTE:
        return _read_sourced(_decode(_sourced_results, payload, "result"))
    read = _decode(_results, payload, "result")
    notice = isinstance(read.outcome, Notice)
    if notice != (read.version == NOTICE_VERSION):
        what = "notice" if notice else "result"
        raise OtherVersion(f"a {what} of version {read.version}; this agent speaks another")
    if isinstance(read.outcome, Notice):
        return read.id, read.outcome
    hops = tuple(_unpack(hop) for hop in read.hops)
    return Result(read.id, read.outcome, hops, read.degraded)


def _read_sourced(read: _SourcedResult) -> Result:
    *others, last = map(_unpack, read.hops)
    source = Provenance(*msgspec.structs.astuple(read.source))
    last = msgspec.structs.replace(last, source=source)
    return Result(read.id, read.outcome, (*others, last), read.degraded)


def _decode(decoder: msgspec.msgpack.Decoder[_Decoded], payload: bytes, what: str) -> _Decoded:
    if len(payload) > PAYLOAD_BYTES:
        raise MalformedMessage(f"a {what} of {len(payload)} bytes exceeds {PAYLOAD_BYTES}")
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        other = _other_version(payload)
        if other:
            said = f"a {what} of version {other}; this agent speaks another: upgrade the older"
            raise OtherVersion(said) from error
        raise MalformedMessage(f"not a {what} of version {VERSION}: {error}") from error


def _other_version(payload: bytes) -> int:
    """Return the version of a message if it is a short array that begins with one, or 0."""
    is_array = len(payload) > 1 and _ARRAY <= payload[0] < _NO_ARRAY
    version = payload[1] if is_array and payload[1] < _POSITIVE else 0
    known = (VERSION, OPTIONS_VERSION, NOTICE_VERSION, SOURCED_VERSION)
    return version if version not in known else 0


def _known(origin: str, sender: str, hops: int) -> list[str]:
    """Return the agent that each hop of a prompt need not name."""
    return [origin] * (hops - 1) + [sender] * (hops > 0)


def _pack(hop: Hop, known: str = "") -> _WireHop:
    return _WireHop(
        hop.tier,
        "" if hop.agent == known else hop.agent,
        _share(hop.confidence),
        _share(hop.threshold),
        min(hop.elapsed_us, _FOUR_BYTES),
    )


def _unpack(hop: _WireHop, known: str = "") -> Hop:
    agent = hop.agent or known
    if not (is_name(hop.tier) and is_name(agent)):
        raise MalformedMessage(f"a hop of tier {hop.tier!r} and agent {agent!r}: no such names")
    confidence, threshold = hop.confidence / _BILLION, hop.threshold / _BILLION
    return Hop(hop.tier, agent, confidence, threshold, hop.elapsed_us)


def _share(value: float) -> int:
    return min(max(round(value * _BILLION), 0), _BILLION)
