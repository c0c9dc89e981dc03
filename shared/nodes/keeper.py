"""Brings an agent to the model that the centre wants of it: fetch, check, load, probe, flip.

Until the new model has answered its probe the old one serves every prompt, and whatever fails on
the way leaves it there and is told as the agent's state. What is at work outlives the process: the
next one starts from the store, whether or not anybody can be reached then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from shared.errors import (
    BundleError,
    RecServeError,
    SettingsError,
    Stopping,
    StoreError,
    cut,
)
from shared.nodes.at_work import BundleAtWork
from shared.nodes.fetch import BundleFetcher, Progress
from shared.nodes.hearing import WishListener
from shared.nodes.machine import disk_of
from shared.nodes.wanted import check_disk, check_memory, check_order
from shared.telemetry.log import get_logger
from shared.wire.control import DETAIL_CHARACTERS, NodeState, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.bus import Bus
    from shared.nodes.changes import SettingChanges
    from shared.nodes.settings import NodeSettings
    from shared.nodes.signing import ManifestVerifier
    from shared.nodes.sources import ChunkSource
    from shared.nodes.store import BundleStore
    from shared.runtimes import ModelSettings
    from shared.serving.slot import ModelSlot
    from shared.wire.control import Desired
    from shared.wire.manifest import ShippedBundle, SignedManifest
    from shared.wire.topics import Topics

_log = get_logger()
_AGAIN_S: Final = 5.0
_LONGEST_S: Final = 300.0
_TELL_S: Final = 0.5


class ModelKeeper:
    """Does what the centre wants, one wish at a time; the newest counts."""

    def __init__(
        self,
        settings: NodeSettings,
        bus: Bus,
        topics: Topics,
        *,
        agent: str,
        model: ModelSettings,
        slot: ModelSlot,
        store: BundleStore,
        active: str,
        changes: SettingChanges,
        verifier: ManifestVerifier,
        sources: Callable[[Desired], Sequence[ChunkSource]],
        busy: Callable[[], bool],
        tell: Callable[[NodeState], None],
    ) -> None:
        self._settings = settings
        self._heard = WishListener(bus, topics, agent)
        self._model = model
        self._store = store
        self._verifier = verifier
        self._sources = sources
        self._tell = tell
        self._fetcher = BundleFetcher(store, busy=busy, busy_bytes_s=settings.busy_bytes_s)
        self._at_work = BundleAtWork(slot, store, model, active, settings.memory_megabytes)
        self._changes = changes
        self.state = NodeState()
        self._say(self.state)

    def exchanged(self) -> None:
        """Hear that a model took the place; one that we did not put there is none of the centre's.

        It stays until the centre wants something anew, or the agent starts again.
        """
        if self.state.active and not self._at_work.is_ours:
            self._say(self.state, phase="idle", detail="the agent took up a model of its own")

    async def run(self) -> None:
        """Hear what is wanted and bring it about, until cancelled."""
        heard = self._heard
        await heard.start()
        pause_s = _AGAIN_S
        while True:
            await heard.changed.wait()
            heard.changed.clear()
            desired = heard.desired
            if desired is None:
                continue
            if await self._until_newer(desired):
                pause_s = _AGAIN_S
                continue
            asyncio.get_running_loop().call_later(pause_s, heard.changed.set)
            pause_s = min(2 * pause_s, _LONGEST_S)

    async def _until_newer(self, desired: Desired) -> bool:
        """Bring a wish about unless a newer one comes; say whether not to try it again."""
        working = asyncio.create_task(self._bring_about(desired))
        changing = asyncio.create_task(self._heard.newer_than(desired))
        try:
            await asyncio.wait({working, changing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            changing.cancel()
            await asyncio.gather(working, changing, return_exceptions=True)
        return working.cancelled() or working.result()

    # -- doing -----------------------------------------------------------------------------------

    async def _bring_about(self, desired: Desired) -> bool:
        """Do what is wanted; say whether there is no reason to try it again."""
        begun = replace(NodeState(), generation=desired.generation, wanted=desired.active)
        if not self._at_work.is_ours or self._at_work.digest != desired.active:
            # "idle" would say that we left it for a model of our own
            begun = replace(begun, phase="fetching" if desired.active else "loading")
        self._say(begun)
        try:
            await self._changes.bring_about(desired, self._store)
            await self._take(desired)
            await asyncio.to_thread(self._drop, desired)
        except Stopping:
            return True
        except (_Refused, SettingsError) as error:
            self._say(self.state, phase="refused", detail=str(error))
            _log.warning("wish refused", bundle=desired.active[:12], reason=str(error))
            return True
        except (RecServeError, OSError) as error:
            self._say(self.state, phase="failed", detail=str(error))
            _log.warning("bundle not brought", bundle=desired.active[:12], reason=str(error))
            return False
        return True

    async def _take(self, desired: Desired) -> None:
        if desired.active == await self._at_work.settle():
            self._say(self.state, phase="active" if desired.active else "idle")
            return
        if not desired.active:
            await self._flip("", None)
            return
        bundle, manifest = await self._checked(desired)
        await self._fetch(bundle, manifest, desired)
        await self._flip(desired.active, bundle)

    async def _checked(self, desired: Desired) -> tuple[ShippedBundle, SignedManifest]:
        """Return what the authority said of a bundle. Raises ``_Refused`` with the reason."""
        digest = desired.active
        if self._model.runtime != "onnx":
            raise _Refused(f"model.runtime is {self._model.runtime}, which takes no bundles")
        try:
            kept = await asyncio.to_thread(self._store.manifest, digest)
        except StoreError as error:
            raise _Refused(str(error)) from error
        note = await asyncio.to_thread(self._store.note)
        reason = ""
        for manifest in (self._heard.manifests.get(digest), kept):
            if manifest is None:
                continue
            try:
                bundle = self._verifier.check(manifest, digest)
                check_order(bundle, note.floors, note.bases)
            except BundleError as error:
                reason = reason or str(error)
            else:
                return bundle, manifest
        if reason:
            raise _Refused(reason)
        raise BundleError("its manifest has not come yet")

    async def _fetch(
        self, bundle: ShippedBundle, manifest: SignedManifest, desired: Desired
    ) -> None:
        needed = await asyncio.to_thread(self._make_room, bundle, desired)
        if needed:
            _log.info(
                "fetching a bundle", bundle=bundle.digest[:12], model=bundle.name, bytes=needed
            )
        await asyncio.to_thread(self._store.keep_manifest, bundle.digest, manifest)
        progress, said_s = Progress(), 0.0

        def told() -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= _TELL_S:
                said_s = time.monotonic()
                self._say_progress(progress)

        sources = self._sources(desired)
        try:
            await self._fetcher.fetch(bundle, sources, progress, told)
        finally:
            self._say_progress(progress)
            for source in sources:
                source.close()
        self._say(self.state, phase="verified")

    def _make_room(self, bundle: ShippedBundle, desired: Desired) -> int:
        """Return how much is to be fetched, once there is room for it."""
        needed = sum(file.size_bytes for file in self._store.missing(bundle))
        keep = {self._at_work.digest, desired.active, *desired.keep}
        try:
            check_memory(bundle.size_bytes, self._settings.memory_megabytes)
            if needed:
                quota = self._settings.quota_megabytes << 20
                self._store.make_room(needed, quota, keep)
            free = disk_of(self._store.folder)[1]
            check_disk(needed, free, self._settings.reserve_megabytes << 20 if needed else 0)
        except BundleError as error:
            raise _Refused(str(error)) from error
        return needed

    async def _flip(self, digest: str, bundle: ShippedBundle | None) -> None:
        """Load beside what serves, probe and flip; the old model serves on when that fails."""
        self._say(self.state, phase="loading")
        try:
            await self._at_work.put(digest, bundle)
        except Stopping:
            raise
        except RecServeError as error:
            if bundle is not None and await asyncio.to_thread(self._store.drop_damaged, bundle):
                raise BundleError(
                    f"files of {bundle.name} were damaged on this disk; they are fetched again"
                ) from error
            self._say(self.state, phase="rolled back", detail=str(error))
            _log.warning("model rolled back", bundle=digest[:12], reason=str(error))
            return
        await self._at_work.settle()
        self._say(self.state, phase="active" if digest else "idle")

    def _drop(self, desired: Desired) -> None:
        for digest in desired.evict:
            if digest not in (self._at_work.digest, desired.active):
                with contextlib.suppress(StoreError):
                    self._store.drop(digest)

    # -- telling ---------------------------------------------------------------------------------

    def _say_progress(self, progress: Progress) -> None:
        self._say(
            self.state,
            phase="fetching",
            bytes_done=progress.bytes_done,
            bytes_total=progress.bytes_total,
            bytes_s=round(progress.bytes_s),
            repaired=progress.repaired,
            source=progress.source[:200],
        )

    def _say(self, state: NodeState, **changes: Any) -> None:
        if "detail" in changes:
            changes["detail"] = cut(changes["detail"])[:DETAIL_CHARACTERS]
        settings = self._changes.in_force
        known = {
            "active": self._at_work.digest,
            "settings": settings,
            "version": version_of(settings),
        }
        self.state = replace(state, **(known | changes))
        self._tell(self.state)


class _Refused(RecServeError):
    """What is wanted is not to be had from us, and trying it again changes nothing."""
