"""A dispatcher on a memory bus, and the test in the place of the agents above."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING
from uuid import UUID

from shared.bus.memory import MemoryBroker
from shared.messages import Hop, Prompt
from shared.serving.dispatcher import Dispatcher
from shared.telemetry.metrics import Metrics
from shared.wire.topics import Topics
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from collections.abc import Collection

    from shared.bus.memory import MemoryBus

HOP = Hop("device", "device-1", 0.5, 0.7, 10)
PROMPT = Prompt(UUID(int=1), "device-1", "classify", "text", time.monotonic() + 60, (HOP,))
ROOT = "recserve/v1"
ONLINE = b'{"state":"online","epoch":1,"tasks":["classify"]}'
GONE = b'{"state":"offline","epoch":1}'


class Bench:
    """A dispatcher on a memory bus, and the test in the place of the agents above."""

    def __init__(
        self,
        above: tuple[str, ...] = ("edge",),
        pool: str = "",
        labels: str = "",
        listen_s: float = math.inf,
    ) -> None:
        self.broker = MemoryBroker()
        self.bus: MemoryBus = self.broker.client("device-1")
        self.upper = self.broker.client("upper")
        self.metrics = Metrics()
        self.appeared = 0
        self.dispatcher = Dispatcher(
            self.bus,
            Topics(),
            self.metrics,
            tier="device",
            above=above,
            pool=pool,
            labels=labels,
            listen_s=listen_s,
            draw=random.Random(1),
        )
        self.dispatcher.on_agent(self._note)

    def _note(self) -> None:
        self.appeared += 1

    async def start(self) -> Bench:
        await settled(self.bus)
        await settled(self.upper)
        await self.dispatcher.start()
        return self

    async def send(
        self, up: int = 1, *, to: str = "", tried: Collection[str] = (), again: bool = False
    ) -> str:
        """Send the prompt and return the agent that has it, or nothing."""
        chosen = await self.dispatcher.send(PROMPT, up, to=to, tried=tried, again=again)
        return chosen.agent if chosen else ""

    async def announce(self, agent: str, *, tier: str = "edge", state: str = "online") -> None:
        status = f'{{"state":"{state}","epoch":1,"tasks":["classify"]}}'
        await self.upper.publish(f"{ROOT}/status/{tier}/{agent}", status.encode(), retain=True)
        await eventually(lambda: (agent in self.alive(tier)) == (state == "online"))

    def alive(self, tier: str = "edge") -> list[str]:
        rosters = {roster.tier: roster for roster in self.dispatcher.choice.rosters}
        return rosters[tier].alive("classify", time.monotonic())

    @property
    def listens(self) -> bool:
        """Whether the broker brings it statuses."""
        return any("status" in topics for topics, _ in self.bus.subscriptions)

    def known(self) -> float | None:
        """Return how many agents there are above, as the metrics have it."""
        return self.metrics.registry.get_sample_value("recserve_agents_above", {"tier": "edge"})

    def open_breakers(self, tier: str) -> float | None:
        labels = {"tier": tier}
        return self.metrics.registry.get_sample_value("recserve_open_breakers", labels)

    async def listen(self, agent: str) -> Inbox:
        inbox = Inbox(self.upper)
        await self.upper.subscribe(f"{ROOT}/prompts/{agent}/#", inbox.take)
        return inbox
