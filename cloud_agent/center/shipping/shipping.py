"""Ships bundles: keeps their files and manifests, and says which agent is to serve which.

What is signed is signed elsewhere: the centre holds no key that could sign, it checks, keeps and
passes on. What is wanted of each agent outlives the process, and goes out again with each connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import time
from typing import TYPE_CHECKING, Final

from cloud_agent.center.shipping.wishes import Wishes
from shared.errors import BundleError, BusError, MalformedMessage, SettingsError, StoreError
from shared.nodes.pieces import PieceServer, center_channel
from shared.telemetry.log import get_logger
from shared.wire.control import encode_word
from shared.wire.manifest import ShippedBundle, encode_manifest, read_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from cloud_agent.center.events import EventLog
    from cloud_agent.center.registry.members import Registry
    from cloud_agent.center.shipping.wishes import Wish
    from shared.bus import Bus
    from shared.nodes.signing import ManifestVerifier
    from shared.nodes.store import BundleStore
    from shared.wire.control import Desired
    from shared.wire.manifest import SignedManifest
    from shared.wire.topics import Topics

_log = get_logger()
_SOURCES: Final = 4


class Shipping:
    """The centre's hand on models."""

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        registry: Registry,
        store: BundleStore,
        events: EventLog,
        verifier: ManifestVerifier | None,
        share_from: int,
    ) -> None:
        """Have a bundle that ``share_from`` agents or more are to fetch at once come by the broker.

        0: never.
        """
        self.store = store
        self._share_from = share_from
        self.pieces = PieceServer(bus, center_channel(topics, "+"), store)
        self._bus = bus
        self._topics = topics
        self._registry = registry
        self._events = events
        self._verifier = verifier
        self._bundles: dict[str, ShippedBundle] = {}
        self._wishes = Wishes(store.folder / "wishes.json", registry)
        self._wishing = asyncio.Lock()
        self._moving = asyncio.Lock()

    @property
    def bundles(self) -> list[ShippedBundle]:
        """The catalogue: every bundle once, the latest signed first."""
        return sorted(self._bundles.values(), key=lambda bundle: -bundle.serial)

    @property
    def wishes(self) -> dict[str, Wish]:
        """What is wanted, by agent."""
        return self._wishes.by_agent

    def start(self) -> None:
        """Read what outlived the process before."""
        for digest, manifest in self.store.manifests().items():
            with contextlib.suppress(MalformedMessage):
                self._bundles[digest] = read_body(manifest)
        self._wishes.read()

    async def announce(self) -> None:
        """Say all of it again, to a broker that may have forgotten."""
        for digest in [*self._bundles]:
            await self._publish_manifest(digest)
        await self._publish_wishes(self._wishes.by_agent)

    def lacking(self, manifest: SignedManifest) -> list[str]:
        """Return the hashes of the files of a bundle that are to be uploaded first.

        Raises ``BundleError`` for a manifest that is not the authority's.
        """
        return [file.sha256 for file in self.store.missing(self._check(manifest))]

    async def take(self, manifest: SignedManifest) -> ShippedBundle:
        """Take a bundle into the catalogue. Raises ``BundleError`` or ``StoreError``."""
        bundle = self._check(manifest)
        async with self._moving:
            self._check_complete(bundle)
            await asyncio.to_thread(self.store.keep_manifest, bundle.digest, manifest)
            self._bundles[bundle.digest] = bundle
            await self._publish_manifest(bundle.digest)
        data = {"name": bundle.name, "version": bundle.version, "digest": bundle.digest}
        self._events.add("bundle", "", data, time.time())
        return bundle

    def matching(self, pattern: str) -> list[str]:
        """Return the agents that a pattern such as ``edge-*`` names."""
        return [m.name for m in self._registry if fnmatch.fnmatchcase(m.name, pattern)]

    def resolve(self, reference: str) -> ShippedBundle:
        """Return the bundle of a digest, its beginning, or a name (the latest). Raises."""
        if reference in self._bundles:
            return self._bundles[reference]
        found = [bundle for bundle in self.bundles if bundle.digest.startswith(reference)]
        if len(reference) >= 6 and len(found) == 1:  # noqa: PLR2004 - as many as people type
            return found[0]
        named = [bundle for bundle in self.bundles if bundle.name == reference]
        if not named:
            raise SettingsError(f"no bundle here is called {reference!r}; see recserve models list")
        return named[0]

    async def assign(self, agents: Iterable[str], digest: str, reason: str) -> list[str]:
        """Have agents serve a bundle; an empty digest: what their settings name.

        Returns those of whom that was not wanted already. Raises ``SettingsError``, and
        ``StoreError`` where that cannot be kept: nothing is wanted anew then.
        """
        async with self._wishes_kept():
            if digest and digest not in self._bundles:
                raise SettingsError(f"no bundle here has the digest {digest!r}")
            agents = [*agents]
            shared = bool(digest) and self._is_shared(agents, digest)
            changed = [
                agent
                for agent in agents
                if self._wishes.want(
                    agent, digest, self._neighbours(agent, digest), reason, shared=shared
                )
            ]
        await self._publish_wishes(changed)
        return changed

    def standing(self, agent: str) -> Desired:
        """Return what is wanted of an agent, whoever said so."""
        return self._wishes.standing(agent)

    async def change(self, agents: Iterable[str], settings: dict[str, str], reason: str) -> None:
        """Have agents go by these settings over their own. Raises ``StoreError`` as ``assign``."""
        async with self._wishes_kept():
            changed = [agent for agent in agents if self._wishes.change(agent, settings, reason)]
        await self._publish_wishes(changed)

    async def compare(self, agents: Iterable[str], reason: str, *, on: bool) -> None:
        """Have agents count how often the tiers above agree with them. Raises ``StoreError``."""
        async with self._wishes_kept():
            changed = [a for a in agents if self._wishes.compare(a, reason, on=on)]
        await self._publish_wishes(changed)

    async def restore(self, standing: Mapping[str, Desired], reason: str) -> None:
        """Want of agents, by their names, what was wanted of them once; again it is still that.

        Raises ``StoreError`` as ``assign`` does.
        """
        async with self._wishes_kept():
            for agent, before in standing.items():
                sources = self._neighbours(agent, before.active)
                self._wishes.want(agent, before.active, sources, reason)
                self._wishes.change(agent, before.settings, reason)
        await self._publish_wishes(standing)

    async def roll_back(self, agents: Iterable[str], reason: str) -> dict[str, str]:
        """Have agents go back to what was wanted of them before; return that by agent."""
        wishes = self.wishes
        back = {
            agent: wishes[agent].before[-1]
            for agent in agents
            if agent in wishes and wishes[agent].before
        }
        for agent, digest in back.items():
            await self.assign([agent], digest, reason)
        return back

    async def collect(self) -> dict[str, list[str]]:
        """Drop bundles that nobody is to serve or might go back to; here, and on the agents.

        Returns what was dropped, by agent; the centre's own under an empty name.
        """
        here = await self._drop_unneeded()
        await asyncio.to_thread(self.store.sweep)
        evicted: dict[str, list[str]] = {}
        async with self._wishes_kept():
            for member in self._registry:
                held = member.report.bundles if member.report is not None else ()
                unused = [bundle.digest for bundle in held if bundle.digest and not bundle.in_use]
                evict = self._wishes.evict(member.name, unused)
                if evict:
                    evicted[member.name] = list(evict)
        await self._publish_wishes(evicted)
        return ({"": here} if here else {}) | evicted

    async def _drop_unneeded(self) -> list[str]:
        """Drop the bundles here that nobody needs, but for the latest of each name.

        Each is looked at again when its turn comes: it may be wanted, or pushed anew, meanwhile.
        """
        dropped = []
        for digest in [*self._bundles]:
            async with self._moving:
                latest = {bundle.name: bundle.digest for bundle in reversed(self.bundles)}
                if digest in self._wishes.needed | set(latest.values()):
                    continue
                del self._bundles[digest]  # from now on nobody can want it
                await asyncio.to_thread(self.store.drop, digest)
                await self._say(self._topics.manifest(digest), b"")
                dropped.append(digest)
        return dropped

    @contextlib.asynccontextmanager
    async def _wishes_kept(self) -> AsyncIterator[None]:
        """Write what is wanted once it was changed, one change at a time, or take the change back.

        Raises ``StoreError`` where it cannot be written.
        """
        async with self._wishing:
            before = self._wishes.by_agent
            yield
            try:
                await asyncio.to_thread(self._wishes.write)
            except StoreError:
                self._wishes.put_back(before)
                raise

    def _check_complete(self, bundle: ShippedBundle) -> None:
        """Raise ``BundleError`` for a bundle that is older than what is here, or not all here."""
        known = self._bundles.get(bundle.digest)
        if known is not None and known.serial > bundle.serial:
            raise BundleError(f"a later manifest of {bundle.name} {bundle.version} is here")
        missing = self.store.missing(bundle)
        if missing:
            names = ", ".join(file.name for file in missing)
            raise BundleError(f"files of {bundle.name} are missing here: {names}; push it again")

    def _check(self, manifest: SignedManifest) -> ShippedBundle:
        if self._verifier is None:
            raise BundleError(
                "this centre knows no authority: set authority to the site's models.pub"
            )
        return self._verifier.check(manifest)

    def _is_shared(self, agents: Iterable[str], digest: str) -> bool:
        """Say whether so many that live are to fetch a bundle that the broker is the way for it."""
        wanting = {name for name, wish in self.wishes.items() if wish.desired.active == digest}
        members = [self._registry.find(name) for name in wanting.union(agents)]
        alive = [member.name for member in members if member and member.life == "alive"]
        lacking = [name for name in alive if not self._registry.holds(name, digest)]
        return 0 < self._share_from <= len(lacking)

    def _neighbours(self, agent: str, digest: str) -> tuple[str, ...]:
        """Return where agents lend the bundle that is wanted."""
        lending = [
            member.report.blobs
            for member in self._registry
            if member.name != agent
            and member.life == "alive"
            and member.report is not None
            and member.report.blobs
            and self._registry.holds(member.name, digest)
        ]
        return tuple(lending[:_SOURCES])

    async def _publish_manifest(self, digest: str) -> None:
        manifest = await asyncio.to_thread(self.store.manifest, digest)
        if manifest is not None:
            await self._say(self._topics.manifest(digest), encode_manifest(manifest))

    async def _publish_wishes(self, agents: Iterable[str]) -> None:
        for agent in [*agents]:
            desired = self._wishes.by_agent[agent].desired
            await self._say(self._topics.control(agent, "desired"), encode_word(desired))

    async def _say(self, topic: str, payload: bytes) -> None:
        """Publish what is to stand on the broker; without one it is said with the next connect."""
        try:
            await self._bus.publish(topic, payload, retain=True)
        except BusError as error:
            _log.info("said with the next connection", topic=topic, reason=str(error))
