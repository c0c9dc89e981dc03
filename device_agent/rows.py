"""What a row of the outbox holds: an escalated prompt, who asked, and in time its result.

MessagePack, strict. The time left is what it was when the prompt was accepted: a restart gives it
all of that again, since no clock is known to have run through.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from shared.errors import MalformedMessage
from shared.escalated import Escalated
from shared.messages import Answer, Failure, Hop, Prompt, Result, Task
from shared.policies import Seen, Verdict

if TYPE_CHECKING:
    from device_agent.outbox import Row

_Value = TypeVar("_Value")


class Asker(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where an answer goes that nobody in this process waits for, and what is wanted there.

    ``echo`` is the asker's own id of the question. With ``answer_to`` the answer goes on that
    topic, with the ``correlation`` that its asker knows it by.
    """

    echo: str | int
    revisions: bool = False
    answer_to: str = ""
    correlation: bytes = b""


class Stored(NamedTuple):
    """A prompt as an earlier run of the device left it; ``result`` once it was settled."""

    escalated: Escalated
    asker: Asker | None
    result: Result | None


class _Payload(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    text: str
    task: Task
    remaining_s: float
    hop: Hop
    copy: bool
    answer: Answer
    up: int
    asker: Asker | None


class _Settled(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    outcome: Answer | Failure
    hops: tuple[Hop, ...]
    degraded: str


_encoder = msgspec.msgpack.Encoder()
_payloads = msgspec.msgpack.Decoder(_Payload)
_results = msgspec.msgpack.Decoder(_Settled)


def encode_escalated(escalated: Escalated, asker: Asker | None) -> bytes:
    """Return the payload of a row."""
    prompt, own = escalated.prompt, escalated.own
    assert not isinstance(own.outcome, Failure), "only what was scored goes up"  # noqa: S101
    remaining_s = prompt.deadline_s - time.monotonic()
    hop, up = prompt.hops[-1], escalated.verdict.up
    return _encoder.encode(
        _Payload(prompt.text, prompt.task, remaining_s, hop, prompt.copy, own.outcome, up, asker)
    )


def encode_settled(result: Result) -> bytes:
    """Return the result of a row."""
    return _encoder.encode(_Settled(result.outcome, result.hops, result.degraded))


def decode(row: Row, origin: str) -> Stored:
    """Read a row of the outbox of ``origin``. Raises ``MalformedMessage``."""
    read = _decode(_payloads, row.payload)
    now_s, hops = time.monotonic(), (read.hop,)
    prompt = Prompt(row.id, origin, read.task, read.text, now_s + read.remaining_s, hops, read.copy)
    own = Result(row.id, read.answer, hops)
    seen = Seen(read.hop.confidence, now_s, len(read.text.encode()))
    verdict = Verdict(read.up, read.hop.threshold)
    result = _decode(_results, row.result) if row.result is not None else None
    return Stored(
        Escalated(prompt, own, seen, verdict),
        read.asker,
        Result(row.id, result.outcome, result.hops, result.degraded) if result else None,
    )


def _decode(decoder: msgspec.msgpack.Decoder[_Value], payload: bytes) -> _Value:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a row of this version's outbox: {error}") from error
