"""Drives the one rollout that is under way: canaries out, watched, then everybody or nobody."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from cloud_agent.center.rollouts.rules import Rollout, RolloutRules, choose_canaries, judge
from shared.errors import SettingsError
from shared.storage.files import write_atomically
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from cloud_agent.center.events import EventLog
    from cloud_agent.center.registry.members import Registry
    from cloud_agent.center.shipping.shipping import Shipping

_log = get_logger()


class Rollouts:
    """At most one rollout at a time; it goes on where it was when the centre starts again."""

    def __init__(self, shipping: Shipping, registry: Registry, events: EventLog) -> None:
        self.current: Rollout | None = None
        self.says = ""
        """What it is waiting for, or why it ended."""
        self._shipping = shipping
        self._registry = registry
        self._events = events
        self._place = shipping.store.folder / "rollout.json"
        self._one_at_a_time = asyncio.Lock()

    def start(self) -> None:
        """Read the one that was under way when the process before ended."""
        try:
            self.current = msgspec.json.decode(self._place.read_bytes(), type=Rollout)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.error(
                "the rollout cannot be read, and its canaries stay as they are: begin it again",
                file=str(self._place),
                reason=str(error),
            )
            return
        self.says = self.current.reason

    async def begin(self, reference: str, pattern: str, rules: RolloutRules) -> Rollout:
        """Send a bundle to the canaries. Raises ``SettingsError`` where there is nothing to do."""
        async with self._one_at_a_time:
            return await self._begin(reference, pattern, rules)

    async def abort(self, reason: str) -> Rollout:
        """Take every canary back. Raises ``SettingsError`` when nothing is under way."""
        async with self._one_at_a_time:  # else what goes to all meanwhile would stay there
            return await self._abort(reason)

    async def look(self) -> None:
        """Do what the rules say now; nothing if nothing is under way."""
        async with self._one_at_a_time:
            await self._look()

    async def _begin(self, reference: str, pattern: str, rules: RolloutRules) -> Rollout:
        if self.current is not None and self.current.phase == "canary":
            raise SettingsError(
                f"a rollout of {self.current.name} is under way; recserve rollout abort ends it"
            )
        bundle = self._shipping.resolve(reference)
        members = [self._registry.find(name) for name in self._shipping.matching(pattern)]
        agents = [member for member in members if member is not None and member.life == "alive"]
        if not agents:
            raise SettingsError(f"no living agent is called {pattern!r}")
        names = tuple(member.name for member in agents)
        rollout = Rollout(
            digest=bundle.digest,
            name=f"{bundle.name} {bundle.version}",
            agents=names,
            canaries=choose_canaries(names, rules.canary),
            rules=rules,
            started_s=time.time(),
            before={m.name: m.telemetry for m in agents if m.telemetry is not None},
        )
        self._set(rollout, f"{len(rollout.canaries)} of {len(names)} agents get it first")
        await self._shipping.assign(rollout.canaries, bundle.digest, "canary of a rollout")
        return rollout

    async def _abort(self, reason: str) -> Rollout:
        rollout = self.current
        if rollout is None or rollout.phase != "canary":
            raise SettingsError("no rollout is under way")
        await self._shipping.roll_back(rollout.canaries, f"rollout: {reason}"[:200])
        aborted = msgspec.structs.replace(rollout, phase="aborted")
        self._set(aborted, reason)
        return aborted

    async def _look(self) -> None:
        rollout = self.current
        if rollout is None or rollout.phase != "canary":
            return
        members = {name: self._registry.find(name) for name in rollout.agents}
        states = {n: m.state for n, m in members.items() if m is not None and m.state is not None}
        counts = {
            n: m.telemetry for n, m in members.items() if m is not None and m.telemetry is not None
        }
        move = judge(rollout, time.time(), states, counts)
        self.says = move.reason
        if move.what == "on":
            await self._shipping.assign(rollout.agents, rollout.digest, "rollout")
            self._set(msgspec.structs.replace(rollout, phase="done"), move.reason)
        elif move.what == "back":
            reason = f"rollout: {move.reason}"[:200]
            await self._shipping.roll_back(rollout.canaries, reason)
            self._set(msgspec.structs.replace(rollout, phase="back"), move.reason)

    def _set(self, rollout: Rollout, reason: str) -> None:
        self.says = reason
        self.current = msgspec.structs.replace(rollout, reason=reason)
        write_atomically(self._place, msgspec.json.encode(self.current))
        _log.info("rollout", model=rollout.name, phase=rollout.phase, reason=reason)
        data = {"phase": rollout.phase, "name": rollout.name, "reason": reason}
        self._events.add("rollout", "", data, time.time())
