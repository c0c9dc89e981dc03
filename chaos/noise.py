"""What comes to a site besides honest questions: all that it has to refuse, or to bear."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import msgspec

from shared.errors import BusError
from shared.messages import Failure, Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.wire.codec import encode_notice, encode_prompt, encode_result
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from shared.bus import Bus

ORIGINS: Final = 10_000
"""Made-up names that prompts come from, in turn."""
_TIME_S: Final = 30.0
_PATIENCE_S: Final = 5.0
_HOP: Final = Hop("device", "device-1", 0.5, 0.9, 5)
_TOPICS: Final = Topics()


class Made(NamedTuple):
    """A message as it is published."""

    topic: str
    payload: bytes
    response_topic: str = ""


class Noise(NamedTuple):
    """One kind of message, how often it comes, and the message of a number."""

    says: str
    rate_s: float
    make: Callable[[int], Made]


def prompt_of(origin: str, to: str, text: str, prompt_id: UUID | None = None) -> Made:
    """Return a prompt, under a fresh id unless one is named, as a device of that name sends it."""
    now_s = time.monotonic()
    hop = msgspec.structs.replace(_HOP, agent=origin)
    prompt = Prompt(prompt_id or uuid4(), origin, "classify", text, now_s + _TIME_S, (hop,))
    return Made(_TOPICS.prompt(to, "classify", origin), encode_prompt(prompt, now_s))


def _from_anywhere(number: int) -> Made:
    """Return the prompt of one of the origins, always with the same text of that origin."""
    origin = number % ORIGINS
    return prompt_of(f"origin-{origin}", "edge-1", f"the valve of pump {origin} sticks again")


def _malformed(number: int) -> Made:
    topic = _TOPICS.prompt("edge-1", "classify", f"odd-{number % ORIGINS}")
    return Made(topic, os.urandom(40))


def _misaddressed(number: int) -> Made:
    return Made(f"recserve/v1/prompts/edge-1/task-{number}/a/b/c", b"\x96")


def _unasked(number: int) -> Made:
    outcome = Label("positive") if number % 2 else Failure("model_failed", "nobody asked")
    result = Result(uuid4(), outcome, (_HOP,))
    return Made(_results_topic(number), encode_result(result, known_hops=0))


def _notice(number: int) -> Made:
    code = ("working", "busy")[number % 2]
    notice = encode_notice(uuid4(), code, f"edge-{number % ORIGINS}")
    return Made(_results_topic(number), notice)


def _no_result(number: int) -> Made:
    return Made(_results_topic(number), os.urandom(40))


def _refused(number: int) -> Made:
    question = (b'{"id": %d, "txt": "x"}', b'{"id": "%d", "text": " "}')[number % 2]
    return Made(_TOPICS.ask("device-1"), question % number, "chaos/refused")


def _results_topic(number: int) -> str:
    return _TOPICS.results(("device-1", "edge-1")[number // 2 % 2])


KINDS: Final = (
    Noise(f"prompts of {ORIGINS:,} origins in turn", 20.0, _from_anywhere),
    Noise("prompts that are none", 10.0, _malformed),
    Noise("prompts on topics that are none", 5.0, _misaddressed),
    Noise("results that nobody asked for", 5.0, _unasked),
    Noise("notices that nobody asked for", 5.0, _notice),
    Noise("results that are none", 5.0, _no_result),
    Noise("questions that are refused", 5.0, _refused),
)


async def send_all(bus: Bus, kinds: Iterable[Noise], seconds: float) -> int:
    """Send every kind at its rate for so long; return how many messages that were."""
    counts = await asyncio.gather(*(_send(bus, kind, seconds) for kind in kinds))
    return sum(counts)


async def _send(bus: Bus, noise: Noise, seconds: float) -> int:
    started_s, sent = time.monotonic(), 0
    for number in range(int(seconds * noise.rate_s)):
        await asyncio.sleep(max(0.0, started_s + number / noise.rate_s - time.monotonic()))
        try:
            topic, payload, response_topic = noise.make(number)
            await bus.publish(topic, payload, expiry_s=_PATIENCE_S, response_topic=response_topic)
        except BusError:
            continue  # the broker is busy or away; the next one is due soon
        sent += 1
    return sent
