"""What an agent says of a wish while it brings it about, and what newer wishes make of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from shared.wire.control import NodeState, decode_word
from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.wires import Inbox, MemoryWire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.nodes.store import BundleStore
    from shared.wire.manifest import SignedManifest


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
