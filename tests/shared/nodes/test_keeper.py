"""What an agent says of a wish while it brings it about, and what newer wishes make of it."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest

from shared.nodes import at_work
from shared.runtimes import load_model
from shared.runtimes.bundle import Bundle
from shared.wire.control import NodeState, decode_word
from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.wires import Inbox, MemoryWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.nodes.store import BundleStore
    from shared.runtimes import Model, ModelSettings
    from shared.wire.manifest import ShippedBundle, SignedManifest


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ShippingSite]:
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as opened:
        yield opened
    await wire.close()


def slow(store: BundleStore, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have a disk give manifests only once this is set."""
    gives, manifest = threading.Event(), store.manifest

    def waiting(digest: str) -> SignedManifest | None:
        gives.wait(20)
        return manifest(digest)

    monkeypatch.setattr(store, "manifest", waiting)
    return gives


async def test_a_bundle_on_its_way_is_wanted_on_when_something_else_is_changed(
    site: ShippingSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, shipping = await site.catalogue(site.bundle("better")), site.center.shipping
    async with site.agent() as parts:
        store = parts.node.store
        assert store is not None
        gives = slow(store, monkeypatch)
        await shipping.assign(["cloud-1"], bundle.digest, "")
        await eventually(lambda: site.state().wanted == bundle.digest, "the agent heard of it")

        await shipping.compare(["cloud-1"], "", on=True)
        wanted = shipping.wishes["cloud-1"].desired.active
        gives.set()

        assert wanted == bundle.digest
        await site.reaches("active", digest=bundle.digest)
        assert parts.slot.model.digest == bundle.digest


async def test_an_agent_does_not_say_that_it_is_done_before_its_own_model_is_back(
    site: ShippingSite,
) -> None:
    bundle, shipping = await site.catalogue(site.bundle("better")), site.center.shipping
    watcher = await settled(site.wire.bus("watcher"))
    states = Inbox(watcher)
    async with site.agent() as parts:
        await shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)
        topic = parts.topics.control("cloud-1", "state")
        await watcher.subscribe(topic, states.take)
        await eventually(lambda: bool(states.payloads), "the state of now")

        await shipping.assign(["cloud-1"], "", "")
        await eventually(lambda: parts.slot.model.name == "own")
        await site.reaches("idle")

        said = [decode_word(NodeState, payload) for payload in states.payloads]
        assert {state.active for state in said if state.phase == "idle"} == {""}
    await watcher.close()


class HeldLoads:
    """Loads models in earnest; one of a bundle that is held only once it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held, self.let = "", threading.Event()
        self.digests: list[str] = []
        monkeypatch.setattr(at_work, "load_model", self._load)

    def _load(self, settings: ModelSettings) -> Model:
        model = load_model(settings)
        self.digests.append(model.digest)
        if model.digest == self.held:
            self.let.wait(20)
        return model


@contextlib.asynccontextmanager
async def exchanging_alone(
    site: ShippingSite, loads: HeldLoads
) -> AsyncIterator[tuple[AgentParts, ShippedBundle, ShippedBundle]]:
    """Run an agent with a bundle at work that has gone for another one, whose load is held."""
    made = []
    for name in ("first", "second"):
        folder = site.bundle(name)
        (folder / "ballast.bin").write_bytes(os.urandom(600_000))
        made.append(await site.catalogue(Bundle.write(folder, Bundle.open(folder).manifest).folder))
    first, second = made
    async with site.agent(memory_megabytes=1) as parts:
        await site.center.shipping.assign(["cloud-1"], first.digest, "")
        await site.reaches("active", digest=first.digest)
        loads.held = second.digest
        await site.center.shipping.assign(["cloud-1"], second.digest, "")
        await eventually(lambda: second.digest in loads.digests, "the second is being loaded")
        yield parts, first, second


async def test_going_back_during_an_exchange_without_room_for_two_goes_back(
    site: ShippingSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, shipping = HeldLoads(monkeypatch), site.center.shipping
    async with exchanging_alone(site, loads) as (parts, first, _):
        assert await shipping.roll_back(["cloud-1"], "") == {"cloud-1": first.digest}
        await eventually(lambda: site.state().wanted == first.digest, "the agent heard of it")
        loads.let.set()
        await site.reaches("active", digest=first.digest)

        await eventually(lambda: parts.slot.model.digest == first.digest, "the first is back")
        await parts.slot.at_rest()
        assert parts.slot.model.digest == site.state().active == first.digest
        assert parts.node.store is not None
        assert parts.node.store.note().active == first.digest


async def test_a_newer_wish_for_the_bundle_that_is_being_loaded_does_not_load_it_again(
    site: ShippingSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, shipping = HeldLoads(monkeypatch), site.center.shipping
    async with exchanging_alone(site, loads) as (parts, _, second):
        await shipping.compare(["cloud-1"], "", on=True)
        newest = shipping.wishes["cloud-1"].desired.generation
        await eventually(lambda: site.state().generation == newest, "the agent heard of it")
        loads.let.set()
        await site.reaches("active", digest=second.digest)

        assert parts.slot.model.digest == site.state().active == second.digest
        assert loads.digests.count(second.digest) == 1
        assert parts.node.store is not None
        note = parts.node.store.note()
        assert (note.active, note.floors["second"]) == (second.digest, second.serial)
