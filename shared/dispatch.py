"""Sends an escalated prompt to one living agent of the tier above, and to another if need be."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from shared.burden import link, packet_bytes
from shared.bus import Delivery
from shared.errors import BusError, MalformedMessage
from shared.log import get_logger
from shared.presence import Roster, decode_status
from shared.wire import encode_prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus, Message
    from shared.messages import Prompt
    from shared.metrics import Metrics
    from shared.topics import Topics

_log = get_logger()


class Dispatcher:
    """Knows who is alive above and puts prompts on their topics."""

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        metrics: Metrics,
        *,
        tier: str,
        upstream: str,
        pool: str = "",
        draw: random.Random | None = None,
    ) -> None:
        self.roster = Roster(upstream)
        self._bus = bus
        self._topics = topics
        self._metrics = metrics
        self._link = link(tier, upstream)
        self._pool = pool
        self._draw = draw or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._appeared: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Listen to the statuses of the tier above."""
        await self._bus.subscribe(self._topics.status(self.roster.tier, "+"), self._hear)

    def on_agent(self, appeared: Callable[[], None]) -> None:
        """Call ``appeared`` whenever an agent of the tier above comes alive."""
        self._appeared.append(appeared)

    async def send(self, prompt: Prompt, tried: set[str], *, again: bool = False) -> str | None:
        """Send the prompt to an agent above and return its name; None if nobody took it.

        Agents in ``tried`` were silent or busy and are passed over; whoever is addressed joins
        them. With ``again`` they all get another chance once no other is left. A broker that
        knows of no subscriber makes us try the next agent at once.
        """
        while True:
            now_s = time.monotonic()
            agent = self.roster.pick(prompt.task, now_s, self._draw, tried)
            if agent is None:
                if not (again and tried):
                    return None
                again = False
                tried.clear()
                continue
            tried.add(agent)
            delivery = await self._publish(prompt, self._pool or agent, now_s)
            if delivery is Delivery.TAKEN:
                return agent
            if delivery is None:
                return None

    async def _publish(self, prompt: Prompt, address: str, now_s: float) -> Delivery | None:
        topic = self._topics.prompt(address, prompt.task, prompt.origin)
        payload = encode_prompt(prompt, now_s)
        try:
            delivery = await self._bus.publish(
                topic, payload, expiry_s=max(prompt.deadline_s - now_s, 0.0)
            )
        except BusError as error:
            _log.warning("prompt not sent", id=str(prompt.id), to=address, reason=str(error))
            return None
        self._metrics.link_bytes.labels(self._link, "up").inc(packet_bytes(topic, payload))
        return delivery

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            address = self._topics.read_status(message.topic)
            if not message.payload:
                self.roster.forget(address.agent)
                return
            status = decode_status(message.payload)
        except MalformedMessage as error:
            self._metrics.refused.labels("malformed").inc()
            _log.warning("status refused", topic=message.topic, reason=str(error))
            return
        if address.tier == self.roster.tier and self.roster.hear(
            address.agent, status, time.monotonic()
        ):
            _log.info("agent above", agent=address.agent, tier=address.tier)
            for appeared in self._appeared:
                appeared()
