"""One agent as one of a fleet: what it reports, and what it does with models from the centre."""

from __future__ import annotations

import asyncio
import contextlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import StoreError
from shared.nodes.blob_server import BlobServer
from shared.nodes.explainer import PromptExplainer
from shared.nodes.keeper import ModelKeeper
from shared.nodes.machine import disk_of, this_machine
from shared.nodes.pieces import PieceSource, center_channel
from shared.nodes.reporter import NodeReporter
from shared.nodes.signing import ManifestVerifier
from shared.nodes.sources import BROKER, CENTER, NEAR, SHARED, HttpSource
from shared.nodes.store import BundleStore
from shared.nodes.telemetry import TelemetryReader
from shared.supervision import Supervised
from shared.telemetry.log import get_logger
from shared.wire.control import HeldBundle, NodeReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Bus
    from shared.nodes.changes import SettingChanges
    from shared.nodes.settings import NodeSettings
    from shared.nodes.sources import ChunkSource
    from shared.nodes.telemetry import ModelQueue
    from shared.runtimes import ModelSettings
    from shared.serving.slot import ModelSlot
    from shared.telemetry.metrics import Metrics
    from shared.wire.control import Desired
    from shared.wire.topics import Topics

_log = get_logger()


def store_folder(settings: NodeSettings, state: str) -> Path | None:
    """Return where an agent keeps bundles from the centre; None if it takes none."""
    if not settings.authority:
        return None
    return Path(settings.store) if settings.store else Path(state or ".") / "models"


def kept_bundle(settings: NodeSettings, state: str) -> Path | None:
    """Return the folder of the bundle that an agent served last by the centre's wish, if any.

    It starts with that one, whether or not anybody can be reached.
    """
    folder = store_folder(settings, state)
    if folder is None:
        return None
    store = BundleStore(folder)
    active = store.note().active
    with contextlib.suppress(StoreError):
        if active and store.bundle(active).is_dir():
            return store.bundle(active)
    return None


def kept_changes(settings: NodeSettings, state: str) -> dict[str, str]:
    """Return the settings that the centre has put over an agent's own, as far as it is known."""
    folder = store_folder(settings, state)
    return {} if folder is None else BundleStore(folder).note().settings


class FleetNode:
    """Runs beside an agent for as long as that runs."""

    def __init__(
        self,
        settings: NodeSettings,
        bus: Bus,
        topics: Topics,
        *,
        agent: str,
        tier: str,
        boot: str,
        state: str,
        model: ModelSettings,
        slot: ModelSlot,
        queue: ModelQueue,
        metrics: Metrics,
        active: str,
        changes: SettingChanges,
        bulk: Callable[[], Bus | None],
    ) -> None:
        """Join the parts; ``active`` is the bundle from the centre that the agent runs already.

        ``changes`` are the settings that it has from there.

        ``bulk`` returns a connection for files, None where the agent's own must carry them.

        Raises ``SettingsError`` or ``RuntimeUnavailable`` for an authority that cannot be read.
        """
        self._settings = settings
        self._topics = topics
        self._agent = agent
        self._tier = tier
        self._boot = boot
        self._bus = bus
        self._bulk = bulk
        self._bulk_bus: Bus | None = None
        self._pieces = PieceSource(self._bus_for_files, center_channel(topics, agent))
        self._slot = slot
        self._folder = store_folder(settings, state)
        self._place = Path(settings.store or state or ".")
        self.explained = PromptExplainer(settings.explain)
        self.reporter = NodeReporter(
            bus,
            topics,
            agent,
            report=self.report,
            telemetry=TelemetryReader(metrics, queue).read,
            explained=self.explained.take,
        )
        self.store: BundleStore | None = None
        self.keeper: ModelKeeper | None = None
        self._active = active
        self._changes = changes
        self._verifier = None
        if self._folder is not None:
            self._verifier = ManifestVerifier.read(Path(settings.authority), settings.site)
        self._model = model
        self._busy = lambda: queue.waiting > 0
        self._blobs: BlobServer | None = None
        self._running: list[Supervised] = []

    async def start(self) -> None:
        """Begin to report, and to take models, as far as the settings say."""
        if self._folder is not None:
            self._take_models(self._folder)
        if self._settings.report:
            self._running.append(Supervised("fleet report", self.reporter.run))

    async def stop(self) -> None:
        """End all of it."""
        await asyncio.gather(*(task.stop() for task in self._running))
        if self._blobs is not None:
            await asyncio.to_thread(self._blobs.close)
        if self._bulk_bus is not None:
            await self._bulk_bus.close()
        if self.store is not None:
            self.store.close()

    def report(self) -> NodeReport:
        """Return what this agent is now."""
        machine = this_machine()
        total, free = disk_of(self._place)
        return NodeReport(
            tier=self._tier,
            release=version("recserve"),
            boot=self._boot,
            machine=machine.board,
            system=machine.system,
            processor=machine.processor,
            cores=machine.cores,
            memory_bytes=machine.memory_bytes,
            disk_bytes=total,
            disk_free_bytes=free >> 26 << 26,
            accelerators=machine.accelerators,
            engines=machine.engines,
            bundles=self._bundles(),
            blobs=self._blobs.url if self._blobs is not None else "",
        )

    def _take_models(self, folder: Path) -> None:
        assert self._verifier is not None, "read with the folder"  # noqa: S101
        store = BundleStore(folder)
        try:
            store.open()
        except StoreError as error:
            _log.error("no models from the centre", reason=str(error))
            return
        self.store = store
        if self._settings.serve_port:
            self._blobs = BlobServer(store, self._settings.serve_host, self._settings.serve_port)
        self.keeper = ModelKeeper(
            self._settings,
            self._bus,
            self._topics,
            agent=self._agent,
            model=self._model,
            slot=self._slot,
            store=store,
            active=self._active,
            changes=self._changes,
            verifier=self._verifier,
            sources=self._sources,
            busy=self._busy,
            tell=self.reporter.tell,
        )
        self._running.append(Supervised("models", self.keeper.run))

    def exchanged(self) -> None:
        """Tell of a model that took the place of the one before, whoever put it there."""
        if self.keeper is not None:
            self.keeper.exchanged()
        self.reporter.changed()

    def _sources(self, desired: Desired) -> list[ChunkSource]:
        """Return where to fetch from: neighbours and the settings' places, the centre, MQTT."""
        own = self._blobs.url if self._blobs is not None else ""
        ranks = {self.reporter.center.blobs: CENTER}
        ranks |= dict.fromkeys((*desired.sources, *self._settings.sources), NEAR)
        chosen: list[ChunkSource] = [
            HttpSource(place, rank) for place, rank in ranks.items() if place and place != own
        ]
        self._pieces.rank = SHARED if desired.shared else BROKER
        return [*chosen, self._pieces]

    async def _bus_for_files(self) -> Bus:
        """Return a connection of its own for files, so that prompts never wait behind them."""
        if self._bulk_bus is None:
            self._bulk_bus = self._bulk()
            if self._bulk_bus is not None:
                await self._bulk_bus.start()
        return self._bulk_bus or self._bus

    def _bundles(self) -> tuple[HeldBundle, ...]:
        """Return what is here, each once: what the store has, and what is in use besides."""
        model = self._slot.model
        held = self.store.held(model.digest) if self.store is not None else ()
        if any(bundle.in_use for bundle in held):
            return held
        return (HeldBundle(name=model.name, digest=model.digest, in_use=True), *held)
