"""Models shipped to real agents: fetched, probed and flipped; lent, rolled back and dropped."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from experiments.testbed.processes import free_port
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.wire.manifest import CHUNK_BYTES
from tests.support.shipped import content
from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.tiny_models import write_bundle
from tests.support.wires import MemoryWire, Wire, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from shared.wire.manifest import ShippedBundle


async def test_a_bundle_is_fetched_probed_and_at_work(site: ShippingSite) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent() as parts:
        assert parts.slot.model.name == "own"
        assert await site.center.shipping.assign(["cloud-1"], bundle.digest, "") == ["cloud-1"]
        await site.reaches("active", digest=bundle.digest)

        assert (parts.slot.model.name, parts.slot.model.digest) == ("better", bundle.digest)
        assert site.state().bytes_done == bundle.size_bytes
        assert site.state().source == site.url

        def listed() -> list[tuple[str, bool]]:
            member = site.center.registry.find("cloud-1")
            held = member.report.bundles if member and member.report else ()
            return [(one.name, one.in_use) for one in held]

        await eventually(lambda: listed() == [("better", True)], "once, and in use")


async def test_an_agent_that_takes_up_its_own_model_again_says_so(site: ShippingSite) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent() as parts:
        own = site.bundle("own-again")
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)

        await parts.slot.exchange(lambda: load_model(ModelSettings(source=str(own))))

        await site.reaches("idle", digest=bundle.digest)
        assert (site.state().active, "of its own" in site.state().detail) == ("", True)
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)
        assert parts.slot.model.digest == bundle.digest


async def test_where_only_the_broker_can_be_reached_files_come_over_it(
    wire: Wire, tmp_path: Path
) -> None:
    async with opened_site(wire, tmp_path) as site:
        site.center.blobs_url = ""
        await site.center.announce()
        bundle = await site.catalogue(site.bundle("better"))
        async with site.agent() as parts:
            await eventually(lambda: parts.node.reporter.center.state == "online")
            await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await site.reaches("active", digest=bundle.digest)

            assert parts.slot.model.name == "better"
            assert site.state().source == "mqtt"
            assert site.center.shipping.pieces.sent_bytes >= bundle.size_bytes


async def test_neighbours_lend_what_they_have(site: ShippingSite) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent(serve_port=free_port()):
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)
        lender = site.center.registry.find("cloud-1")
        await eventually(lambda: bundle.digest in site.held())
        site.center.blobs_url = ""
        await site.center.announce()
        async with site.agent("cloud-2"):
            await site.center.shipping.assign(["cloud-2"], bundle.digest, "")
            await site.reaches("active", "cloud-2", digest=bundle.digest)
            assert lender is not None
            assert lender.report is not None
            assert site.state("cloud-2").source == lender.report.blobs


@pytest.mark.parametrize("share_from", [0, 2])
async def test_a_bundle_for_several_at_once_comes_over_the_broker_where_it_is_sent_once(
    tmp_path: Path, share_from: int
) -> None:
    wire, names = MemoryWire(), ("cloud-1", "cloud-2", "cloud-3")
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(opened_site(wire, tmp_path, share_from=share_from))
        folder = site.bundle("better")
        (folder / "ballast.bin").write_bytes(content(5, 8 * CHUNK_BYTES))
        Bundle.write(folder, Bundle.open(folder).manifest)
        bundle = await site.catalogue(folder)
        for name in names:
            await stack.enter_async_context(site.agent(name))
        await eventually(lambda: site.center.registry.count("alive") == len(names), "all of them")
        await site.center.shipping.assign(names, bundle.digest, "")
        for name in names:
            await site.reaches("active", name, digest=bundle.digest)

        sent = site.center.shipping.pieces.sent_bytes / bundle.size_bytes
        sources = {site.state(name).source for name in names}
        if share_from:
            assert sources == {"mqtt"}
            assert 1 <= sent < 2.5, "not three times; small files are over before anybody falls in"
        else:
            assert (sources, sent) == ({site.url}, 0)
    await wire.close()


async def test_agents_that_are_dead_are_not_many_who_fetch_a_bundle_now(tmp_path: Path) -> None:
    wire, names = MemoryWire(), ("cloud-1", "cloud-2")
    async with opened_site(wire, tmp_path, share_from=2) as site, site.agent("cloud-1"):
        registry, shipping = site.center.registry, site.center.shipping
        bundle = await site.catalogue(site.bundle("better"))
        await eventually(lambda: registry.count("alive") == 1, "the first")
        async with site.agent("cloud-2"):
            await eventually(lambda: registry.count("alive") == 2, "the second")
        await eventually(lambda: registry.count("dead") == 1, "its goodbye")

        await shipping.assign(names, bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)

        assert not shipping.standing("cloud-1").shared
        assert site.state().source == site.url
    await wire.close()


async def test_a_quota_makes_room_by_dropping_what_was_unused_for_longest(
    site: ShippingSite,
) -> None:
    async with site.agent(quota_megabytes=1) as parts:
        for number in range(4):
            folder = site.bundle(f"m{number}")
            (folder / "ballast.bin").write_bytes(bytes([number]) * 400_000)
            Bundle.write(folder, Bundle.open(folder).manifest)
            bundle = await site.catalogue(folder)
            await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await site.reaches("active", digest=bundle.digest)
        assert parts.node.store is not None
        assert parts.node.store.size_bytes <= 1 << 20
        held = [one.name for one in parts.node.store.held(parts.slot.model.digest)]
        assert "m3" in held
        assert "m0" not in held


async def test_roll_back_of_the_first_bundle_goes_to_the_agents_own(site: ShippingSite) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent() as parts:
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)

        assert await site.center.shipping.roll_back(["cloud-1"], "") == {"cloud-1": ""}

        await site.reaches("idle")
        assert parts.slot.model.name == "own"


async def test_roll_back_goes_to_what_was_before_and_gc_drops_what_nobody_needs(
    site: ShippingSite,
) -> None:
    shipping = site.center.shipping
    made: list[ShippedBundle] = []
    for number in range(3):
        folder = write_bundle(site.folder / f"v{number}", name="bag", bias=number / 10).folder
        base = made[-1].digest if made else ""
        made.append(await site.catalogue(folder, serial=number + 1, base=base))
    async with site.agent() as parts:
        for bundle in made:
            await shipping.assign(["cloud-1"], bundle.digest, "")
            await site.reaches("active", digest=bundle.digest)
        assert await shipping.roll_back(["cloud-1"], "") == {"cloud-1": made[1].digest}
        await site.reaches("active", digest=made[1].digest)
        assert parts.slot.model.digest == made[1].digest

        await eventually(lambda: len(site.held()) == 3, "all three on the disk")
        dropped = await shipping.collect()
        assert dropped[""] == [made[0].digest]
        assert dropped["cloud-1"] == [made[0].digest]
        await eventually(lambda: made[0].digest not in site.held(), "gone from the agent")
        assert not any(shipping.store.has(f) for f in made[0].files if f.name == "bundle.yaml")
