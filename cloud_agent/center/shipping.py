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

import msgspec

from shared.errors import BundleError, BusError, MalformedMessage, SettingsError
from shared.nodes.pieces import PieceServer
from shared.storage.files import write_atomically
from shared.telemetry.log import get_logger
from shared.wire.control import Desired, encode_word
from shared.wire.manifest import ShippedBundle, encode_manifest, read_body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloud_agent.center.events import EventLog
    from cloud_agent.center.registry import Registry
    from shared.bus import Bus
    from shared.nodes.signing import ManifestVerifier
    from shared.nodes.store import BundleStore
    from shared.wire.manifest import SignedManifest
    from shared.wire.topics import Topics

_log = get_logger()
_SOURCES: Final = 4
_HISTORY: Final = 20


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted of one agent, and what was before, the latest last."""

    desired: Desired
    before: tuple[str, ...] = ()


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
    ) -> None:
        self.store = store
        self.pieces = PieceServer(bus, topics, store)
        self._bus = bus
        self._topics = topics
        self._registry = registry
        self._events = events
        self._verifier = verifier
        self._bundles: dict[str, ShippedBundle] = {}
        self._wishes: dict[str, Wish] = {}

    @property
    def bundles(self) -> list[ShippedBundle]:
        """The catalogue: every bundle once, the latest signed first."""
        return sorted(self._bundles.values(), key=lambda bundle: -bundle.serial)

    @property
    def wishes(self) -> dict[str, Wish]:
        """What is wanted, by agent."""
        return dict(self._wishes)

    def start(self) -> None:
        """Read what outlived the process before."""
        for digest, manifest in self.store.manifests().items():
            with contextlib.suppress(MalformedMessage):
                self._bundles[digest] = read_body(manifest)
        with contextlib.suppress(OSError, msgspec.DecodeError):
            raw = (self.store.folder / "wishes.json").read_bytes()
            self._wishes = msgspec.json.decode(raw, type=dict[str, Wish])

    async def announce(self) -> None:
        """Say all of it again, to a broker that may have forgotten."""
        with contextlib.suppress(BusError):
            for digest in self._bundles:
                await self._publish_manifest(digest)
            for agent, wish in self._wishes.items():
                await self._publish_wish(agent, wish)

    def lacking(self, manifest: SignedManifest) -> list[str]:
        """Return the hashes of the files of a bundle that are to be uploaded first.

        Raises ``BundleError`` for a manifest that is not the authority's.
        """
        return [file.sha256 for file in self.store.missing(self._check(manifest))]

    async def take(self, manifest: SignedManifest) -> ShippedBundle:
        """Take a bundle into the catalogue. Raises ``BundleError``."""
        bundle = self._check(manifest)
        known = self._bundles.get(bundle.digest)
        if known is not None and known.serial > bundle.serial:
            raise BundleError(f"a later manifest of {bundle.name} {bundle.version} is here")
        missing = self.store.missing(bundle)
        if missing:
            names = ", ".join(file.name for file in missing)
            raise BundleError(f"files of {bundle.name} are missing here: {names}")
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

        Returns those of whom that was not wanted already. Raises ``SettingsError``, ``BusError``.
        """
        if digest and digest not in self._bundles:
            raise SettingsError(f"no bundle here has the digest {digest!r}")
        changed = []
        for agent in agents:
            known = self._wishes.get(agent)
            if known is not None and known.desired.active == digest:
                continue
            before = () if known is None else (*known.before, known.desired.active)[-_HISTORY:]
            desired = Desired(
                generation=self._next_generation(agent, known),
                active=digest,
                keep=tuple(one for one in before[-1:] if one),
                sources=self._neighbours(agent, digest),
                reason=reason,
            )
            self._wishes[agent] = Wish(desired, before)
            changed.append(agent)
        await asyncio.to_thread(self._save)
        for agent in changed:
            await self._publish_wish(agent, self._wishes[agent])
        return changed

    async def roll_back(self, agents: Iterable[str], reason: str) -> dict[str, str]:
        """Have agents go back to what was wanted of them before; return that by agent."""
        back: dict[str, str] = {}
        for agent in agents:
            wish = self._wishes.get(agent)
            if wish is not None and wish.before:
                back[agent] = wish.before[-1]
        for agent, digest in back.items():
            await self.assign([agent], digest, reason)
        return back

    async def collect(self) -> dict[str, list[str]]:
        """Drop bundles that nobody is to serve or might go back to; here, and on the agents.

        Returns what was dropped, by agent; the centre's own under an empty name.
        """
        wanted = {digest for wish in self._wishes.values() for digest in _needed(wish)}
        dropped: dict[str, list[str]] = {}
        latest = {bundle.name: bundle.digest for bundle in reversed(self.bundles)}
        for digest in [*self._bundles]:
            if digest not in wanted and digest not in latest.values():
                await asyncio.to_thread(self.store.drop, digest)
                del self._bundles[digest]
                await self._bus.publish(self._topics.manifest(digest), b"", retain=True)
                dropped.setdefault("", []).append(digest)
        for member in self._registry:
            wish = self._wishes.get(member.name)
            if wish is None or member.report is None:
                continue
            held = [b.digest for b in member.report.bundles if b.digest and not b.in_use]
            evict = tuple(digest for digest in held if digest not in _needed(wish))
            if evict:
                generation = self._next_generation(member.name, wish)
                desired = msgspec.structs.replace(wish.desired, generation=generation, evict=evict)
                self._wishes[member.name] = Wish(desired, wish.before)
                await self._publish_wish(member.name, self._wishes[member.name])
                dropped[member.name] = list(evict)
        await asyncio.to_thread(self.store.sweep)
        await asyncio.to_thread(self._save)
        return dropped

    def _check(self, manifest: SignedManifest) -> ShippedBundle:
        if self._verifier is None:
            raise BundleError(
                "this centre knows no authority: set authority to the site's models.pub"
            )
        return self._verifier.check(manifest)

    def _neighbours(self, agent: str, digest: str) -> tuple[str, ...]:
        """Return where agents lend the bundle that is wanted."""
        lending = [
            member.report.blobs
            for member in self._registry
            if member.name != agent
            and member.life == "alive"
            and member.report is not None
            and member.report.blobs
            and any(bundle.digest == digest for bundle in member.report.bundles)
        ]
        return tuple(lending[:_SOURCES])

    def _next_generation(self, agent: str, known: Wish | None) -> int:
        """Return a generation after all that was ever said to an agent, as far as is known."""
        member = self._registry.find(agent)
        heard = member.desired.generation if member and member.desired else 0
        said = known.desired.generation if known is not None else 0
        return max(heard, said, int(time.time() * 1000) - 1) + 1

    def _save(self) -> None:
        write_atomically(self.store.folder / "wishes.json", msgspec.json.encode(self._wishes))

    async def _publish_manifest(self, digest: str) -> None:
        manifest = await asyncio.to_thread(self.store.manifest, digest)
        if manifest is not None:
            payload = encode_manifest(manifest)
            await self._bus.publish(self._topics.manifest(digest), payload, retain=True)

    async def _publish_wish(self, agent: str, wish: Wish) -> None:
        topic = self._topics.control(agent, "desired")
        await self._bus.publish(topic, encode_word(wish.desired), retain=True)


def _needed(wish: Wish) -> set[str]:
    """Return what an agent serves, and what it may go back to."""
    return {wish.desired.active, *wish.before[-1:]}
