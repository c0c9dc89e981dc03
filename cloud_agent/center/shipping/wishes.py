"""What each agent is to serve, and what it served before: a file that outlives the process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.errors import StoreError
from shared.storage.files import write_atomically
from shared.telemetry.log import get_logger
from shared.wire.control import Desired, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cloud_agent.center.registry.members import Registry

_log = get_logger()
_HISTORY: Final = 20


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted of one agent, and what was before, the latest last."""

    desired: Desired
    before: tuple[str, ...] = ()

    @property
    def needed(self) -> set[str]:
        """What the agent serves, and what it may go back to."""
        return {self.desired.active, *self.before[-1:]}


class Wishes:
    """What is wanted of agents. Each change of it has a generation after all that were heard."""

    def __init__(self, place: Path, registry: Registry) -> None:
        self._place = place
        self._registry = registry
        self._by_agent: dict[str, Wish] = {}

    @property
    def by_agent(self) -> dict[str, Wish]:
        """What is wanted, by agent."""
        return dict(self._by_agent)

    @property
    def needed(self) -> set[str]:
        """Every bundle that some agent is to serve or might go back to."""
        return {digest for wish in self._by_agent.values() for digest in wish.needed}

    def read(self) -> None:
        """Read what outlived the process before, if anything did."""
        try:
            self._by_agent = msgspec.json.decode(self._place.read_bytes(), type=dict[str, Wish])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.error(
                "what is wanted of agents cannot be read: assign their models again",
                file=str(self._place),
                reason=str(error),
            )

    def write(self) -> None:
        """Keep all of it. Raises ``StoreError``."""
        try:
            write_atomically(self._place, msgspec.json.encode(self._by_agent))
        except OSError as error:
            raise StoreError(
                f"{self._place}: what is wanted of agents cannot be kept ({error.strerror}), so "
                "nothing was changed; make room on the centre's disk and say it again"
            ) from error

    def put_back(self, by_agent: dict[str, Wish]) -> None:
        """Want again what was wanted before."""
        self._by_agent = by_agent

    def want(
        self,
        agent: str,
        digest: str,
        sources: tuple[str, ...],
        reason: str,
        *,
        shared: bool = False,
    ) -> bool:
        """Want a bundle of an agent, to be had from these sources; False: it was wanted already.

        ``shared``: others fetch it now too.
        """
        known = self._by_agent.get(agent)
        before = (*self._before(agent), self.standing(agent).active)[-_HISTORY:]
        if known is not None and known.desired.active == digest:
            if not self._left(agent, known.desired):
                return False
            before = known.before
        keep = tuple(one for one in before[-1:] if one)
        self._say(
            agent, before, active=digest, keep=keep, sources=sources, shared=shared, reason=reason
        )
        return True

    def change(self, agent: str, settings: dict[str, str], reason: str) -> bool:
        """Want these settings over an agent's own, and the model as it is; False: so it was."""
        if self.standing(agent).settings == settings:
            return False
        self._say(agent, self._before(agent), settings=settings, reason=reason)
        return True

    def compare(self, agent: str, reason: str, *, on: bool) -> bool:
        """Want an agent to count how often the tiers above agree, or not; False: so it was."""
        if self.standing(agent).compares == on:
            return False
        self._say(agent, self._before(agent), compares=on, reason=reason)
        return True

    def standing(self, agent: str) -> Desired:
        """Return what is wanted of an agent, by our own word or that of a centre before us.

        Nobody takes a model from it that it has without our doing.
        """
        known, member = self._by_agent.get(agent), self._registry.find(agent)
        heard = member.desired if member is not None else None
        if known is not None:
            left = self._left(agent, known.desired)
            return msgspec.structs.replace(known.desired, active="") if left else known.desired
        if heard is not None:
            return heard
        has = member.state.active if member is not None and member.state is not None else ""
        return Desired(generation=0, active=has)

    def _left(self, agent: str, desired: Desired) -> bool:
        """Say whether an agent took up a model of its own after it had done what was wanted."""
        member = self._registry.find(agent)
        state = member.state if member is not None else None
        return (
            state is not None
            and state.generation == desired.generation
            and state.phase == "idle"
            and state.active != desired.active
        )

    def evict(self, agent: str, unused: Iterable[str]) -> tuple[str, ...]:
        """Want an agent to drop what it neither serves nor may go back to; return what that is."""
        wish = self._by_agent.get(agent)
        if wish is None:
            return ()
        evict = tuple(digest for digest in unused if digest not in wish.needed)
        if evict:
            self._say(agent, wish.before, evict=evict)
        return evict

    def _before(self, agent: str) -> tuple[str, ...]:
        known = self._by_agent.get(agent)
        return () if known is None else known.before

    def _say(self, agent: str, before: tuple[str, ...], **fields: Any) -> None:
        """Want of an agent what stands but for these fields.

        Unless they say so, nothing is dropped and nobody else fetches it now. The version is the
        least by which agents of before pass over what they do not know.
        """
        passing = {"evict": (), "shared": False, **fields}
        generation = self._next_generation(agent)
        desired = msgspec.structs.replace(self.standing(agent), generation=generation, **passing)
        version = version_of(desired.settings, compares=desired.compares, shared=desired.shared)
        desired = msgspec.structs.replace(desired, version=version)
        self._by_agent[agent] = Wish(desired, before)

    def _next_generation(self, agent: str) -> int:
        """Return a generation after all that was ever said to an agent, as far as is known."""
        known, member = self._by_agent.get(agent), self._registry.find(agent)
        heard = member.desired.generation if member and member.desired else 0
        said = known.desired.generation if known is not None else 0
        return max(heard, said, int(time.time() * 1000) - 1) + 1
