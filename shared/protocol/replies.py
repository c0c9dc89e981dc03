"""Who is told of a result: the origin, and below an agent that learns the sender too. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.wire.burden import links

if TYPE_CHECKING:
    from shared.messages import Prompt, Result


class Reply(NamedTuple):
    """One message that carries a result.

    The ``reader`` knows the first ``known_hops`` of it already; ``links`` are those that the
    message crosses on its way down, lowest first.
    """

    reader: str
    known_hops: int
    links: list[str]


def replies(prompt: Prompt, result: Result, *, tier: str, agent: str) -> list[Reply]:
    """Return the messages by which an agent of a tier gives back the result of a prompt.

    The sender gets a copy if it asked for one and is not the origin, nor this agent itself.
    """
    known_hops = 1 if result.hops and result.hops[0].agent == prompt.origin else 0
    # A failure may come without our hop, but its reply starts from here all the same.
    below = [hop.tier for hop in result.hops if hop.tier != tier]
    told = [Reply(prompt.origin, known_hops, links([*below, tier]))]
    if prompt.copy and prompt.sender not in (prompt.origin, agent):
        told.append(Reply(prompt.sender, len(prompt.hops), links([*below[-1:], tier])))
    return told
