"""Drives the one rollout that is under way: canaries out, watched, then everybody or nobody."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec

from cloud_agent.center.rollouts.rules import Rollout, RolloutRules, choose_canaries, judge
from shared.errors import SettingsError, StoreError
from shared.storage.files import write_atomically
from shared.telemetry.log import get_logger
from shared.wire.control import CHANGEABLE, Changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_agent.center.events import EventLog
    from cloud_agent.center.registry.members import FleetMember, Registry
    from cloud_agent.center.shipping.shipping import Shipping
    from shared.wire.control import NodeState, Telemetry

_log = get_logger()
_CANARY: Final = "canary of a rollout"


class RolloutOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle, or settings, for a few of these agents first.

    ``settings`` are texts by key, as after ``--set``, that stand over the agents' own from then on,
    in place of those that stood there; none of them: back to the agents' own.
    """

    to: str
    bundle: str = ""
    settings: Changes | None = None
    rules: RolloutRules = RolloutRules()


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
        self._unsent = False
        """Whether some canaries may not have been told yet: the disk was full, or we ended."""

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
        self._unsent = True  # the process before may have ended between one canary and the next

    async def begin(self, order: RolloutOrder) -> Rollout:
        """Send a bundle, or settings, to the canaries. Raises ``SettingsError`` where none can."""
        async with self._one_at_a_time:
            return await self._begin(order)

    async def abort(self, reason: str) -> Rollout:
        """Take every canary back. Raises ``SettingsError`` when nothing is under way."""
        async with self._one_at_a_time:  # else what goes to all meanwhile would stay there
            return await self._abort(reason)

    async def look(self) -> None:
        """Do what the rules say now; nothing if nothing is under way, or the disk will not."""
        async with self._one_at_a_time:
            try:
                await self._look()
            except StoreError as error:
                self._wait_for_the_disk(str(error))

    async def _begin(self, order: RolloutOrder) -> Rollout:
        if self.current is not None and self.current.phase == "canary":
            raise SettingsError(
                f"a rollout of {self.current.name} is under way; recserve rollout abort ends it"
            )
        digest, name = self._what(order)
        agents = [member for member in self._matching(order) if member.life == "alive"]
        if not agents:
            raise SettingsError(f"no living agent is called {order.to!r}")
        names = tuple(member.name for member in agents)
        canaries = choose_canaries(names, order.rules.canary)
        rollout = Rollout(
            digest=digest,
            settings=order.settings,
            standing={canary: self._shipping.standing(canary) for canary in canaries},
            name=name,
            agents=names,
            canaries=canaries,
            rules=order.rules,
            started_s=time.time(),
            before={m.name: m.telemetry for m in agents if m.telemetry is not None},
        )
        rollout = await self._set(rollout, f"{len(canaries)} of {len(names)} agents get it first")
        self._unsent = True
        await self._send_out(rollout)
        return rollout

    def _what(self, order: RolloutOrder) -> tuple[str, str]:
        """Return the digest of the bundle that is rolled out, if it is one, and what it is called.

        Raises ``SettingsError``.
        """
        if (order.settings is None) == (not order.bundle):
            raise SettingsError("a rollout is of a bundle or of settings: name one of the two")
        if order.settings is None:
            bundle = self._shipping.resolve(order.bundle)
            return bundle.digest, f"{bundle.name} {bundle.version}"
        for key in order.settings:
            if not key.startswith(CHANGEABLE):
                raise SettingsError(
                    f"{key} is not for a centre to change: those of {CHANGEABLE}* are"
                )
        texts = (f"{key}={text}" for key, text in order.settings.items())
        return "", ", ".join(texts) or "the agents' own settings"

    def _matching(self, order: RolloutOrder) -> list[FleetMember]:
        """Return the agents that an order is for. Raises ``SettingsError``."""
        found = [self._registry.find(name) for name in self._shipping.matching(order.to)]
        members = [member for member in found if member is not None]
        deaf = [m.name for m in members if m.state is None and m.life == "alive"]
        if deaf and order.settings is not None:
            raise SettingsError(
                f"{', '.join(deaf[:3])}: takes nothing from a centre; set node.authority there"
            )
        return members

    async def _abort(self, reason: str) -> Rollout:
        rollout = self.current
        if rollout is None or rollout.phase != "canary":
            raise SettingsError("no rollout is under way")
        await self._take_back(rollout, reason)
        aborted = msgspec.structs.replace(rollout, phase="aborted")
        return await self._set(aborted, reason)

    async def _look(self) -> None:
        rollout = self.current
        if rollout is None or rollout.phase != "canary":
            return
        if self._unsent:
            await self._send_out(rollout)
        now_s, counts = time.time(), self._counts(rollout)
        move = judge(rollout, now_s, self._states(rollout), counts)
        if move.what == "wait":
            self.says = move.reason
        elif move.what == "watch":
            watched = msgspec.structs.replace(rollout, watched_s=now_s, since=counts)
            await self._set(watched, move.reason)
        elif move.what == "on":
            await self._shipping.compare(rollout.agents, "rollout", on=False)
            await self._hand_out(rollout, rollout.agents, "rollout")
            await self._set(msgspec.structs.replace(rollout, phase="done"), move.reason)
        elif move.what == "back":
            await self._take_back(rollout, move.reason)
            await self._set(msgspec.structs.replace(rollout, phase="back"), move.reason)

    def _wait_for_the_disk(self, reason: str) -> None:
        if self.says != reason:  # once: we look again soon
            _log.error("the rollout waits for the centre's disk", reason=reason)
        self.says = reason

    def _states(self, rollout: Rollout) -> dict[str, NodeState]:
        """Return what the canaries say of what is wanted of them now, not of what was before."""
        states = {}
        for name in rollout.canaries:
            member, wanted = self._registry.find(name), self._shipping.standing(name)
            state = member.state if member is not None else None
            if state is not None and state.generation >= wanted.generation:
                states[name] = state
        return states

    def _counts(self, rollout: Rollout) -> dict[str, Telemetry]:
        members = {name: self._registry.find(name) for name in rollout.agents}
        return {
            n: m.telemetry for n, m in members.items() if m is not None and m.telemetry is not None
        }

    async def _send_out(self, rollout: Rollout) -> None:
        """Give it to the canaries, and have everybody compared with the tiers above meanwhile."""
        await self._shipping.compare(rollout.agents, "compared during a rollout", on=True)
        await self._hand_out(rollout, rollout.canaries, _CANARY)
        self._unsent = False

    async def _hand_out(self, rollout: Rollout, agents: Sequence[str], reason: str) -> None:
        if rollout.settings is None:
            await self._shipping.assign(agents, rollout.digest, reason)
        else:
            await self._shipping.change(agents, rollout.settings, reason)

    async def _take_back(self, rollout: Rollout, reason: str) -> None:
        reason = f"rollout: {reason}"[:200]
        await self._shipping.compare(rollout.agents, reason, on=False)
        await self._shipping.restore(rollout.standing, reason)

    async def _set(self, rollout: Rollout, reason: str) -> Rollout:
        """Keep this, go by it from now on, and return it. Raises ``StoreError``."""
        rollout = msgspec.structs.replace(rollout, reason=reason)
        try:
            content = msgspec.json.encode(rollout)
            await asyncio.to_thread(write_atomically, self._place, content)
        except OSError as error:
            reason = f"{self._place}: the rollout cannot be kept ({error.strerror})"
            raise StoreError(reason) from error
        self.current, self.says = rollout, reason
        _log.info("rollout", model=rollout.name, phase=rollout.phase, reason=reason)
        data = {"phase": rollout.phase, "name": rollout.name, "reason": reason}
        self._events.add("rollout", "", data, time.time())
        return rollout
