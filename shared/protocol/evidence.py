"""What word from above tells, of the prompt it is about and of the agents it comes from.

Both cores conclude this, a device's (``device_agent.delivery.protocol``) and that of an agent
between (``shared.protocol.admission``); whoever drives them tells the policy and the rosters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shared.cascade.tier import Escalation
    from shared.messages import Result


class Learn(NamedTuple):
    """Tell the policy, and whoever observes, what became of a prompt that went up."""

    escalation: Escalation
    result: Result


class Credit(NamedTuple):
    """Take note that agents answered; one that was passed over may be sent prompts again."""

    agents: tuple[str, ...]


class Trust(NamedTuple):
    """Take an agent's word that it is at work."""

    agent: str


class Doubt(NamedTuple):
    """Count it against an agent that it said nothing when it was asked again.

    ``stopped`` when it had been at work on the prompt, and said so.
    """

    agent: str
    stopped: bool


class Blame(NamedTuple):
    """Count a failure of its model against an agent."""

    agent: str


Evidence = Learn | Credit | Trust | Doubt | Blame


def learned(escalation: Escalation, result: Result) -> tuple[Learn, Credit]:
    """Return what a result tells: the policy hears of it, and who has a hop in it answered."""
    return Learn(escalation, result), Credit(tuple(hop.agent for hop in result.hops))
