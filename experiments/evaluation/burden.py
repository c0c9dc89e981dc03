"""What a replay put on each link, by two accountings.

*paper*: RecServe's communication burden. A prompt costs its text (in bytes), or one unit, on every
link it crosses on its way up; results cost nothing.

*sent*: the MQTT packets that the agents exchange. A prompt goes up with its topic and the hops so
far; its result comes back across every link between the tier that answered and the device; a tier
in between that learns gets a copy. Sizes are those that ``shared.wire.codec`` and
``shared.wire.burden`` produce, to the byte, for agents named ``device-1`` and so on;
acknowledgements are left out.

By both, a prompt that passes over a tier still crosses every link on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np

from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.wire.burden import links
from shared.wire.codec import encode_prompt, encode_result
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.evaluation.offline import Replay

    Bytes = NDArray[np.int64]

REMAINING_S: Final = 30.0
_ID: Final = UUID(int=1)
_SMALLEST_HOP: Final = (0.0, 0.0, 0)
"""Confidence, threshold and time that take one byte each on the wire."""


@dataclass(frozen=True, eq=False)
class Burden:
    """Bytes on each link; ``up`` and ``down`` have shape (links, n), the lowest link first."""

    links: tuple[str, ...]
    up: Bytes
    down: Bytes

    @property
    def per_prompt(self) -> NDArray[np.float64]:
        """Bytes on all links together, both ways; shape (n,)."""
        total: NDArray[np.float64] = (self.up + self.down).sum(axis=0).astype(np.float64)
        return total


def paper_hops(replay: Replay[Any]) -> Burden:
    """Return the burden in units: one for every link that a prompt crosses on its way up."""
    up = _crossed(np.zeros_like(replay.tier), replay.tier, len(replay.matrix.tiers))
    return Burden(_links(replay), up.astype(np.int64), np.zeros(up.shape, np.int64))


def paper_bytes(replay: Replay[Any]) -> Burden:
    """Return the burden in bytes of text: a prompt's on every link it crosses on its way up."""
    hops = paper_hops(replay)
    return Burden(hops.links, hops.up * replay.matrix.prompt_bytes, hops.down)


def sent_bytes(replay: Replay[Any], topics: Topics | None = None) -> Burden:
    """Return the burden in bytes of the packets that agents send for these prompts."""
    sizes = _Sizes(replay, topics or Topics())
    tiers = len(replay.matrix.tiers)
    up = np.zeros((tiers - 1, len(replay.tier)), np.int64)
    down = np.zeros_like(up)
    for lower in range(tiers - 1):
        for upper in range(lower + 1, tiers):
            between = replay.seen[lower + 1 : upper].any(axis=0)
            went = replay.seen[lower] & replay.seen[upper] & ~between
            up[lower:upper] += went * sizes.prompt(lower, upper)
            copied = lower > 0 and replay.learns[lower]
            if copied:
                down[lower:upper] += went * (replay.tier == upper) * sizes.copy(lower, upper)
    for upper in range(1, tiers):
        down[:upper] += (replay.tier == upper) * sizes.result(upper)
    return Burden(_links(replay), up, down)


def _links(replay: Replay[Any]) -> tuple[str, ...]:
    return tuple(links([tier.tier for tier in replay.matrix.tiers]))


def _crossed(lower: Bytes, upper: Bytes, tiers: int) -> NDArray[np.bool_]:
    """Return which links lie between two tiers; shape (links, n)."""
    link = np.arange(tiers - 1)[:, None]
    crossed: NDArray[np.bool_] = (link >= lower) & (link < upper)
    return crossed


class _Sizes:
    """Sizes of packets, for all prompts of a replay at once.

    What does not vary with the prompt is measured on real messages; what does vary is how many
    bytes MessagePack takes for the text, the numbers in the hops, and the label.
    """

    def __init__(self, replay: Replay[Any], topics: Topics) -> None:
        self._topics = topics
        self._tiers = [tier.tier for tier in replay.matrix.tiers]
        self._agents = [f"{tier}-1" for tier in self._tiers]
        text = replay.matrix.prompt_bytes
        self._text = text + _text_header(text) - 1
        self._seen = replay.seen
        self._more = _more_bytes(replay)
        self._task = replay.matrix.task
        self._result_bytes: Bytes = replay.given(replay.matrix.result_bytes)

    def prompt(self, lower: int, upper: int) -> Bytes:
        """Return the packets from one tier's agent to one above it."""
        origin, sender, address = (self._agents[tier] for tier in (0, lower, upper))
        fixed = len(encode_prompt(self._prompt(()), 0.0))
        hops = sum(self._prompt_hop(tier, lower) for tier in range(lower + 1))
        topic = self._topics.prompt(address, self._task, origin, sender)
        return _packet(topic, fixed + self._text + hops)

    def result(self, upper: int) -> Bytes:
        """Return the packets of results from a tier to the origin, which knows its own hop."""
        hops = sum(self._result_hop(tier) for tier in range(1, upper + 1))
        return _packet(self._topics.results(self._agents[0]), self._result_bytes + hops)

    def copy(self, lower: int, upper: int) -> Bytes:
        """Return the packets of results to the agent that sent the prompt to this tier."""
        topic = self._topics.results(self._agents[lower])
        return _packet(topic, self._result_bytes + self._result_hop(upper))

    def _prompt_hop(self, tier: int, sender: int) -> Bytes:
        """Return the bytes of a tier's hop in a prompt; 0 where it saw it not.

        The hops of origin and sender name no agent: their names stand in the topic.
        """
        agent = self._agents[0 if tier == sender else tier]
        hop = Hop(self._tiers[tier], agent, *_SMALLEST_HOP)
        one, none = (encode_prompt(self._prompt(hops), 0.0) for hops in ((hop,), ()))
        return self._hop(tier, len(one) - len(none))

    def _result_hop(self, tier: int) -> Bytes:
        hop = Hop(self._tiers[tier], self._agents[tier], *_SMALLEST_HOP)
        one = encode_result(Result(_ID, Label(""), (hop,)), known_hops=0)
        return self._hop(tier, len(one) - len(encode_result(Result(_ID, Label("")), known_hops=0)))

    def _hop(self, tier: int, smallest: int) -> Bytes:
        size: Bytes = np.where(self._seen[tier], smallest + self._more[tier], 0)
        return size

    def _prompt(self, hops: tuple[Hop, ...]) -> Prompt:
        return Prompt(_ID, self._agents[0], self._task, "", REMAINING_S, hops)


def _more_bytes(replay: Replay[Any]) -> Bytes:
    """Return what a hop's three numbers take beyond one byte each; shape (tiers, n)."""
    confidence = np.stack([tier.routing for tier in replay.matrix.tiers])
    elapsed_us = np.stack([tier.elapsed_us for tier in replay.matrix.tiers])
    threshold = np.where(replay.seen, replay.threshold, 0.0)
    shares = (np.rint(share * 1e9) for share in (confidence, threshold))
    return sum((_integer_bytes(number) - 1 for number in (*shares, elapsed_us)), np.int64(0))


def _integer_bytes(number: NDArray[np.float64] | Bytes) -> Bytes:
    """Return how many bytes MessagePack takes for integers from 0 to 2³² - 1."""
    return np.select([number < 1 << 7, number < 1 << 8, number < 1 << 16], [1, 2, 3], 5)


def _text_header(text_bytes: Bytes) -> Bytes:
    """Return how many bytes MessagePack puts before texts of these sizes."""
    limits = [text_bytes < 1 << 5, text_bytes < 1 << 8, text_bytes < 1 << 16]
    return np.select(limits, [1, 2, 3], 5)


def _packet(topic: str, payload: Bytes) -> Bytes:
    """Return ``shared.wire.burden.packet_bytes`` for payloads of these sizes."""
    remaining = payload + 2 + len(topic.encode()) + 2
    length_bytes = sum((remaining >= 1 << bits).astype(np.int64) for bits in (7, 14, 21))
    packet: Bytes = 2 + length_bytes + remaining
    return packet
