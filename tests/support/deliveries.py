"""Steps of the device's protocol core, as its driver takes them."""

from __future__ import annotations

import random
from uuid import UUID

from device_agent.delivery.actions import (
    Action,
    Resolve,
    Send,
    Store,
)
from device_agent.delivery.protocol import Delivery
from device_agent.delivery.retry import RetryPolicy
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label

BACKOFF = RetryPolicy(min_s=1.0, max_s=8.0, patience_s=2.0, in_flight=3)
FAR_S = 1e6


def core() -> Delivery:
    return Delivery(BACKOFF, random.Random(1))


def escalated(number: int, deadline_s: float = 30.0) -> Escalation:
    hop = Hop("device", "device-1", 0.5, 0.7, 10)
    prompt = Prompt(UUID(int=number), "device-1", "classify", "text", deadline_s, (hop,))
    own = Result(prompt.id, Label("own"), (hop,))
    return Escalation(prompt, own, Observation(0.5, 0.0, 4), Routing(1, 0.7))


def from_above(number: int) -> Result:
    return Result(UUID(int=number), Label("better"), (Hop("edge", "edge-1", 0.9, 0.5, 10),))


def send_up(
    delivery: Delivery,
    number: int,
    now_s: float = 0.0,
    *,
    deadline_s: float = 30.0,
    agent: str = "edge-1",
    revisions: bool = False,
) -> Escalation:
    """Bring a prompt to where it waits for its result."""
    item = escalated(number, deadline_s)
    delivery.accept(item.prompt.id, deadline_s, revisions=revisions)
    assert delivery.escalate(item) == [Store(item)]
    assert delivery.stored(item.prompt.id) == [Send(item)]
    if agent:
        assert delivery.sent(item.prompt.id, agent, now_s) == []
    else:
        assert delivery.unsent(item.prompt.id, now_s) == []
    return item


def sends(actions: list[Action]) -> list[Send]:
    return [action for action in actions if isinstance(action, Send)]


def degraded(actions: list[Action]) -> list[str]:
    return [action.result.degraded for action in actions if isinstance(action, Resolve)]
