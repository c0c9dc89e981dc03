"""Who is alive: every agent's retained status, and the roster that a sender picks from.

An agent announces itself after each connect and at every heartbeat; its last will says that it
is gone. A status with an older epoch than that of a living agent is a ghost and is ignored; once
that agent is gone the older one counts, since a clock may have been set back over a restart. The
roster is told the time and touches no clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from shared.bus import Will
from shared.errors import BusError, MalformedMessage
from shared.log import get_logger
from shared.messages import Task

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection

    from shared.bus import Bus

_log = get_logger()
_MISSED_HEARTBEATS = 3
_STATUS_BYTES = 4096
_GOODBYE_S = 1.0

_Milliseconds = Annotated[float, msgspec.Meta(ge=0)]
_Epoch = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class Load(msgspec.Struct, frozen=True):
    """How long a prompt that came now would wait, and how long one takes, in milliseconds."""

    wait_ms: _Milliseconds = 0.0
    service_ms: _Milliseconds = 0.0


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an agent says of itself; JSON on the wire, so that people can read it too."""

    state: Literal["online", "offline"]
    epoch: _Epoch
    tasks: tuple[Task, ...] = ()
    model: str = ""
    load: Load = Load()
    heartbeat_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 5.0


_statuses = msgspec.json.Decoder(Status)


def decode_status(payload: bytes) -> Status:
    """Read a status. Raises ``MalformedMessage``."""
    if len(payload) > _STATUS_BYTES:
        raise MalformedMessage(f"a status of {len(payload)} bytes exceeds {_STATUS_BYTES}")
    try:
        return _statuses.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a status: {error}") from error


class _Entry(msgspec.Struct):
    status: Status
    heard_s: float
    sent: int = 0  # prompts sent since its load was last heard


class Roster:
    """The agents of one tier, as far as their statuses tell."""

    def __init__(self, tier: str) -> None:
        self.tier = tier
        self._entries: dict[str, _Entry] = {}

    def hear(self, agent: str, status: Status, now_s: float) -> bool:
        """Take in a status; return whether the agent has just become alive."""
        known = self._entries.get(agent)
        was_alive = known is not None and _alive(known, now_s)
        if known is not None and was_alive and status.epoch < known.status.epoch:
            return False
        entry = self._entries[agent] = _Entry(status, now_s)
        return _alive(entry, now_s) and not was_alive

    def forget(self, agent: str) -> None:
        """Drop an agent whose retained status was cleared."""
        self._entries.pop(agent, None)

    def alive(self, task: Task, now_s: float) -> list[str]:
        """Return the living agents that serve the task."""
        return [
            agent
            for agent, entry in self._entries.items()
            if task in entry.status.tasks and _alive(entry, now_s)
        ]

    def pick(
        self, task: Task, now_s: float, draw: random.Random, avoid: Collection[str] = ()
    ) -> str | None:
        """Return the less loaded of two agents drawn from the living, or None.

        Agents in ``avoid`` are left out. The load is the wait that the agent last told plus the
        work sent to it since.
        """
        candidates = [agent for agent in self.alive(task, now_s) if agent not in avoid]
        if not candidates:
            return None
        drawn = draw.sample(candidates, min(2, len(candidates)))
        chosen = min(drawn, key=self._wait_ms)
        self._entries[chosen].sent += 1
        return chosen

    def _wait_ms(self, agent: str) -> float:
        entry = self._entries[agent]
        load = entry.status.load
        return load.wait_ms + entry.sent * max(load.service_ms, 1.0)


def _alive(entry: _Entry, now_s: float) -> bool:
    silence_s = now_s - entry.heard_s
    patience_s = _MISSED_HEARTBEATS * entry.status.heartbeat_s
    return entry.status.state == "online" and silence_s <= patience_s


class Announcer:
    """Keeps this agent's status on the broker true."""

    def __init__(
        self,
        topic: str,
        *,
        tasks: Collection[Task],
        model: str,
        heartbeat_s: float,
        load: Callable[[], Load],
    ) -> None:
        self._topic = topic
        self._tasks = tuple(sorted(tasks))
        self._model = model
        self._heartbeat_s = heartbeat_s
        self._load = load
        # Wall time orders the starts of one agent; nothing else reads it as a time.
        self._epoch = int(time.time() * 1000)
        self._due = asyncio.Event()

    def will(self) -> Will:
        """Return what the broker is to say when we are lost."""
        return Will(self._topic, self._encode("offline"))

    async def run(self, bus: Bus) -> None:
        """Announce after each connect and at every heartbeat, until cancelled; then say goodbye."""
        bus.watch(lambda connected: self._due.set() if connected else None)
        loop = asyncio.get_running_loop()
        heartbeat = loop.call_later(self._heartbeat_s, self._due.set)
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                heartbeat.cancel()
                heartbeat = loop.call_later(self._heartbeat_s, self._due.set)
                await self._announce(bus, "online")
        finally:
            heartbeat.cancel()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._announce(bus, "offline"), _GOODBYE_S)

    async def _announce(self, bus: Bus, state: Literal["online", "offline"]) -> None:
        try:
            await bus.publish(self._topic, self._encode(state), retain=True)
        except BusError as error:
            _log.debug("status not published", topic=self._topic, reason=str(error))

    def _encode(self, state: Literal["online", "offline"]) -> bytes:
        if state == "offline":
            return msgspec.json.encode(Status("offline", self._epoch))
        status = Status(
            "online", self._epoch, self._tasks, self._model, self._load(), self._heartbeat_s
        )
        return msgspec.json.encode(status)
