"""What travels between agents: compact, versioned, strict MessagePack arrays.

A prompt is ``[version, id, remaining_ms, text, hops, copy]`` and a result ``[version, id, outcome,
hops, degraded]``. Origin, sender and task stand in the topic and are not said twice: the last hop
of a prompt leaves its agent empty where that is the sender, every other one where it is the origin.
A result carries only the hops that the origin does not know already. Confidences travel in parts
per billion: five bytes instead of nine, precise beyond a 32-bit float. A first escalation costs at
most 51 bytes beyond the text and the name of its tier, a further hop 20 plus the name of its tier
and, once it is not the last, of its agent.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec

from shared.errors import MalformedMessage
from shared.messages import Failure, Hop, Label, Prompt, Result
from shared.topics import NAME_BYTES, PromptAddress, is_name

VERSION: Final = 1
PAYLOAD_BYTES: Final = 1 << 20
_BILLION = 1_000_000_000
_FOUR_BYTES = 0xFFFF_FFFF

_Version = Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)]
_Share = Annotated[int, msgspec.Meta(ge=0, le=_BILLION)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_FOUR_BYTES)]
_Name = Annotated[str, msgspec.Meta(max_length=NAME_BYTES)]
_Text = Annotated[str, msgspec.Meta(max_length=PAYLOAD_BYTES)]


class Notice(msgspec.Struct, frozen=True, array_like=True, tag=3, forbid_unknown_fields=True):
    """An agent's word to whoever sent it a prompt that it will not take it now."""

    code: str


class _Hop(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    tier: _Name
    agent: _Name
    confidence: _Share
    threshold: _Share
    elapsed_us: _Count


_Hops = Annotated[tuple[_Hop, ...], msgspec.Meta(max_length=8)]


class _Prompt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: _Version
    id: UUID
    remaining_ms: _Count
    text: _Text
    hops: _Hops
    copy: bool


class _Result(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: _Version
    id: UUID
    outcome: Label | Failure | Notice
    hops: _Hops
    degraded: _Text


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_prompts = msgspec.msgpack.Decoder(_Prompt)
_results = msgspec.msgpack.Decoder(_Result)
_Decoded = TypeVar("_Decoded")


def encode_prompt(prompt: Prompt, now_s: float) -> bytes:
    """Return the payload of an escalated prompt; ``now_s`` on the clock of its deadline."""
    remaining_ms = int(min(max(0.0, (prompt.deadline_s - now_s) * 1000), _FOUR_BYTES))
    known = _known(prompt.origin, prompt.sender, len(prompt.hops))
    hops = tuple(map(_pack, prompt.hops, known))
    return _encoder.encode(
        _Prompt(VERSION, prompt.id, remaining_ms, prompt.text, hops, prompt.copy)
    )


def decode_prompt(payload: bytes, address: PromptAddress, *, now_s: float) -> Prompt:
    """Read a prompt; who it is from comes from its topic. Raises ``MalformedMessage``."""
    read = _decode(_prompts, payload, "prompt")
    _, task, origin, sender = address
    hops = tuple(map(_unpack, read.hops, _known(origin, sender, len(read.hops))))
    deadline_s = now_s + read.remaining_ms / 1000
    return Prompt(read.id, origin, task, read.text, deadline_s, hops, read.copy, sender)


def encode_result(result: Result, *, known_hops: int) -> bytes:
    """Return the payload of a result, less the first ``known_hops`` that its reader made itself."""
    hops = tuple(_pack(hop) for hop in result.hops[known_hops:])
    return _encoder.encode(_Result(VERSION, result.id, result.outcome, hops, result.degraded))


def encode_notice(prompt_id: UUID, code: str) -> bytes:
    """Return the payload that tells a sender its prompt was not taken."""
    return _encoder.encode(_Result(VERSION, prompt_id, Notice(code), (), ""))


def decode_result(payload: bytes) -> Result | tuple[UUID, Notice]:
    """Read what came on a results topic. Raises ``MalformedMessage``."""
    read = _decode(_results, payload, "result")
    if isinstance(read.outcome, Notice):
        return read.id, read.outcome
    hops = tuple(_unpack(hop) for hop in read.hops)
    return Result(read.id, read.outcome, hops, read.degraded)


def _decode(decoder: msgspec.msgpack.Decoder[_Decoded], payload: bytes, what: str) -> _Decoded:
    if len(payload) > PAYLOAD_BYTES:
        raise MalformedMessage(f"a {what} of {len(payload)} bytes exceeds {PAYLOAD_BYTES}")
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a {what} of version {VERSION}: {error}") from error


def _known(origin: str, sender: str, hops: int) -> list[str]:
    """Return the agent that each hop of a prompt need not name."""
    return [origin] * (hops - 1) + [sender] * (hops > 0)


def _pack(hop: Hop, known: str = "") -> _Hop:
    return _Hop(
        hop.tier,
        "" if hop.agent == known else hop.agent,
        _share(hop.confidence),
        _share(hop.threshold),
        min(hop.elapsed_us, _FOUR_BYTES),
    )


def _unpack(hop: _Hop, known: str = "") -> Hop:
    agent = hop.agent or known
    if not (is_name(hop.tier) and is_name(agent)):
        raise MalformedMessage(f"a hop of tier {hop.tier!r} and agent {agent!r}: no such names")
    confidence, threshold = hop.confidence / _BILLION, hop.threshold / _BILLION
    return Hop(hop.tier, agent, confidence, threshold, hop.elapsed_us)


def _share(value: float) -> int:
    return min(max(round(value * _BILLION), 0), _BILLION)
