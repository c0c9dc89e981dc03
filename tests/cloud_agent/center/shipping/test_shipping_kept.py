"""What the centre keeps: dropped only when nobody needs it, and never wanted without being kept."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from shared.errors import BundleError, SettingsError, StoreError
from shared.nodes.publish import sign
from shared.nodes.store import BundleStore
from tests.support.shipped import SIGNER
from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.small_disk import fill, small_disk
from tests.support.tiny_models import write_bundle
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from shared.wire.manifest import ShippedBundle


async def versions(site: ShippingSite, count: int) -> list[ShippedBundle]:
    return [
        await site.catalogue(
            write_bundle(site.folder / f"v{number}", name="bag", bias=number / 10).folder,
            serial=number + 1,
        )
        for number in range(count)
    ]


@pytest.fixture
def gate(site: ShippingSite, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Whatever is dropped is dropped only once this is set."""
    store, may = site.center.shipping.store, threading.Event()
    drop = store.drop

    def waiting(digest: str) -> None:
        may.wait(10)
        drop(digest)

    monkeypatch.setattr(store, "drop", waiting)
    return may


async def test_a_bundle_that_is_wanted_while_others_are_dropped_stays(
    site: ShippingSite, gate: threading.Event
) -> None:
    made = await versions(site, 4)
    shipping = site.center.shipping

    collecting = asyncio.create_task(shipping.collect())
    await eventually(lambda: made[0] not in shipping.bundles, "the first is being dropped")
    await shipping.assign(["cloud-1"], made[1].digest, "")
    gate.set()
    dropped = await collecting

    assert dropped == {"": [made[0].digest, made[2].digest]}
    assert shipping.store.missing(made[1]) == []
    assert shipping.store.manifest(made[1].digest) is not None


async def test_a_bundle_that_is_pushed_while_it_is_dropped_is_here_whole_or_refused(
    site: ShippingSite, gate: threading.Event
) -> None:
    made = await versions(site, 2)
    shipping = site.center.shipping

    collecting = asyncio.create_task(shipping.collect())
    await eventually(lambda: made[0] not in shipping.bundles, "it is being dropped")
    with pytest.raises(SettingsError, match="no bundle here"):
        await shipping.assign(["cloud-1"], made[0].digest, "")
    pushed = asyncio.create_task(shipping.take(sign(made[0], SIGNER)))
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(BundleError, match=r"missing here: .*push it again"):
        await pushed
    await collecting

    assert made[0] not in shipping.bundles


async def test_what_comes_before_its_manifest_is_not_swept_away(site: ShippingSite) -> None:
    store = site.center.shipping.store
    fresh, old = store.blob("a" * 64), store.blob("b" * 64)
    upload = store.folder / "parts" / "upload-1"
    for place in (fresh, old, upload):
        place.write_bytes(b"on its way")
    os.utime(old, (time.time() - 7200,) * 2)

    await site.center.shipping.collect()

    assert fresh.exists()
    assert upload.exists()
    assert not old.exists()


async def test_nothing_is_listed_twice(site: ShippingSite) -> None:
    [bundle] = await versions(site, 1)
    shipping = site.center.shipping
    await shipping.take(sign(bundle, SIGNER))
    assert shipping.bundles == [bundle]
    async with site.agent() as parts:
        for _ in range(2):
            await shipping.assign(["cloud-1", "cloud-1"], bundle.digest, "")
            await site.reaches("active", digest=bundle.digest)
        assert parts.node.store is not None
        held = parts.node.store.held(bundle.digest)
        assert [one.digest for one in held] == [bundle.digest]
    again = BundleStore(shipping.store.folder)
    assert list(again.manifests()) == [bundle.digest]


async def test_a_full_disk_of_the_centre_is_one_sentence_and_nothing_is_wanted_anew(
    tmp_path: Path,
) -> None:
    wire = MemoryWire()
    with small_disk(tmp_path / "center", kilobytes=400) as disk:
        async with opened_site(wire, tmp_path) as site:
            shipping = site.center.shipping
            first, second = await versions(site, 2)
            await shipping.assign(["cloud-1"], first.digest, "")
            before = shipping.wishes
            fill(disk)

            with pytest.raises(StoreError, match=r"wishes.json: .*No space left on device.*room"):
                await shipping.assign(["cloud-1", "cloud-2"], second.digest, "")

            assert shipping.wishes == before
            (disk / "ballast").unlink()
            assert await shipping.assign(["cloud-2"], second.digest, "") == ["cloud-2"]
    await wire.close()
