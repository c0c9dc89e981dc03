"""Which bundle of the centre's an agent has at work, and how another comes in its place.

What is at work is read off the model in the place itself, so that it is right whoever put it there,
and whoever had given up waiting for that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from shared.nodes.wanted import fit_together, raised
from shared.runtimes import load_model
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.nodes.store import BundleStore, StoreNote
    from shared.runtimes import Model, ModelSettings
    from shared.serving.slot import ModelSlot
    from shared.wire.manifest import ShippedBundle

_log = get_logger()


class _LoadedFrom(NamedTuple):
    """Where a model of ours is from; an empty digest: it is the one that the settings name."""

    digest: str
    bundle: ShippedBundle | None


class BundleAtWork:
    """Puts bundles of a store to work in a slot, and notes for a restart which one it is."""

    def __init__(
        self, slot: ModelSlot, store: BundleStore, model: ModelSettings, active: str, megabytes: int
    ) -> None:
        """Begin with the ``active`` bundle in the slot; empty: with the settings' own ``model``.

        Models may have so many ``megabytes`` of memory; 0: any number.
        """
        self._slot = slot
        self._store = store
        self._model = model
        self._megabytes = megabytes
        self._loaded: WeakKeyDictionary[Model, _LoadedFrom] = WeakKeyDictionary()
        self._loaded[slot.model] = _LoadedFrom(active, None)

    @property
    def digest(self) -> str:
        """The bundle at work; empty where it is none of the centre's, or nobody answers."""
        found = self._loaded.get(self._slot.model)
        return "" if found is None else found.digest

    @property
    def is_ours(self) -> bool:
        """Whether the model at work was there at the start, or was put there by us."""
        return self._slot.model in self._loaded

    async def settle(self) -> str:
        """Return what is at work once no exchange is under way, and it is noted for a restart.

        Raises ``OSError`` where that cannot be kept.
        """
        await self._slot.at_rest()
        await asyncio.to_thread(self._remember)
        return self.digest

    async def put(self, digest: str, bundle: ShippedBundle | None) -> None:
        """Load, probe and flip, beside the model that serves or, without room, after it.

        Without a bundle it is the settings' own model. Raises as ``ModelSlot.exchange`` does, and
        ``BundleError`` where the bundle cannot be laid out.
        """
        wanted, serving, now = self._model, self._model, self.digest
        if bundle is not None:
            folder = await asyncio.to_thread(self._store.assemble, bundle)
            wanted = replace(self._model, source=str(folder))
        if now:
            serving = replace(self._model, source=str(self._store.bundle(now)))
        load = self._loading(wanted, _LoadedFrom(digest, bundle))
        folders = (serving.source, wanted.source)
        if await asyncio.to_thread(fit_together, folders, self._megabytes):
            await self._slot.exchange(load)
        else:
            _log.info("the model goes before the next one is there", bundle=now[:12])
            again = self._loading(serving, _LoadedFrom(now, None))
            await self._slot.exchange_alone(load, again)

    def _loading(self, settings: ModelSettings, source: _LoadedFrom) -> Callable[[], Model]:
        def load() -> Model:
            model = load_model(settings)
            self._loaded[model] = source
            return model

        return load

    def _remember(self) -> None:
        found = self._loaded.get(self._slot.model)
        if found is None:
            return
        digest, bundle = found

        def noted(note: StoreNote) -> StoreNote:
            floors, bases = note.floors, note.bases
            if bundle is not None:
                floors, bases = raised(bundle, floors, bases)
            return replace(note, active=digest, floors=floors, bases=bases)

        if bundle is not None:
            self._store.touch(bundle.digest)
        self._store.update_note(noted)
