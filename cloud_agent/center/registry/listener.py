"""Hears the whole fleet over the bus and keeps the registry true; tells what changed as events."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from cloud_agent.center.registry.explained import ExplainedPrompts
from shared.errors import MalformedMessage
from shared.membership.status import decode_status
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import Metrics
from shared.telemetry.rejections import RejectionLog
from shared.wire.control import Desired, Explained, NodeReport, NodeState, Telemetry, decode_word
from shared.wire.topics import ControlKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.events import EventLog
    from cloud_agent.center.registry.members import FleetMember, Registry
    from shared.bus import Bus, Message
    from shared.wire.topics import Topics

_log = get_logger()
_AGE_S: Final = 1.0
_KINDS: Final[dict[str, Any]] = {
    "report": NodeReport,
    "state": NodeState,
    "desired": Desired,
    "telemetry": Telemetry,
    "explained": Explained,
}


class FleetListener:
    """Subscribes to everything that agents say of themselves."""

    def __init__(self, bus: Bus, topics: Topics, registry: Registry, events: EventLog) -> None:
        self.registry = registry
        self.events = events
        self.explained = ExplainedPrompts()
        self.heard = 0
        """Messages taken in since the start."""
        self._bus = bus
        self._topics = topics
        self._rejections = RejectionLog(Metrics())

    async def start(self, kinds: Sequence[ControlKind] = get_args(ControlKind)) -> None:
        """Begin to listen to statuses and these kinds of words. Raises ``BusError``."""
        await self._bus.subscribe(self._topics.statuses, self._hear_status)
        for kind in kinds:
            topics = self._topics.control("+", kind)
            await self._bus.subscribe(topics, self._hear_control)

    async def run(self) -> None:
        """Let leases run out, until cancelled."""
        while True:
            await asyncio.sleep(_AGE_S)
            for member in self.registry.age(time.monotonic()):
                _log.info("agent is silent", agent=member.name, life=member.life)
                self._tell("life", member)

    def _hear_status(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            address = self._topics.read_status(message.topic)
            status = decode_status(message.payload) if message.payload else None
        except MalformedMessage as error:
            self._rejections.record(message.topic, error)
            return
        self.heard += 1
        known = self.registry.find(address.agent)
        before = None if known is None else (known.life, known.status and known.status.bundle)
        member = self.registry.hear_status(
            address.agent,
            address.tier,
            status,
            time.monotonic(),
            live=not message.retained,
            clock_ms=int(time.time() * 1000),
        )
        if member is None:
            return
        if status is None:
            self.events.add("gone", member.name, {}, time.time())
        elif (member.life, status.bundle) != before:
            self._tell("life", member)

    def _hear_control(self, message: Message) -> None:
        self._bus.acknowledge(message)
        if not message.payload:
            return
        try:
            agent, kind = self._topics.read_control(message.topic)
            word: Any = decode_word(_KINDS[kind], message.payload)
        except (MalformedMessage, KeyError) as error:
            fault = error if isinstance(error, MalformedMessage) else MalformedMessage(str(error))
            self._rejections.record(message.topic, fault)
            return
        self.heard += 1
        if isinstance(word, Explained):
            self._take_explained(agent, word)
        elif self._take(agent, word) is not None:
            self.events.add(kind, agent, msgspec.to_builtins(word), time.time())

    def _take(self, agent: str, word: Any) -> FleetMember | None:
        match word:
            case NodeReport():
                return self.registry.hear_report(agent, word)
            case NodeState():
                return self.registry.hear_state(agent, word)
            case Desired():
                return self.registry.hear_desired(agent, word)
            case _:
                return self.registry.hear_telemetry(agent, word, time.monotonic())

    def _take_explained(self, agent: str, word: Explained) -> None:
        """Keep what a device explains; the event says of which prompts, and never their texts."""
        if self.registry.find(agent) is not None:
            self.explained.hear(agent, word, time.time())
            ids = [prompt.id for prompt in word.prompts]
            self.events.add("explained", agent, {"prompts": ids}, time.time())

    def _tell(self, kind: str, member: FleetMember) -> None:
        status = member.status
        data = {
            "life": member.life,
            "tier": member.tier,
            "model": status.model if status else "",
            "bundle": status.bundle if status else "",
        }
        self.events.add(kind, member.name, data, time.time())
