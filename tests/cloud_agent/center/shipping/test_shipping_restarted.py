"""Agents and centres that start anew go on with what they had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_an_agent_that_is_started_again_begins_with_what_it_had_and_downloads_nothing(
    site: ShippingSite,
) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent():
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)
    (site.folder / "cloud-1/models/store.lock").write_text("left behind by a killed process")
    for file in bundle.files:
        site.center.shipping.store.blob(file.sha256).unlink()

    async with site.agent() as parts:
        assert parts.slot.model.name == "better", "before it heard of anybody"
        await site.reaches("active", digest=bundle.digest)
        assert parts.slot.model.name == "better"


async def test_a_store_that_was_lost_is_no_reason_not_to_start(site: ShippingSite) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent():
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)
    weights = site.folder / "cloud-1/models/bundles" / bundle.digest / "model.onnx"
    weights.write_bytes(b"not what was signed")

    async with site.agent() as parts:
        assert parts.slot.model.name == "own"


async def test_wishes_outlive_the_centre_and_a_broker_that_forgot(tmp_path: Path) -> None:
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as site:
        bundle = await site.catalogue(site.bundle("better"))
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "for later")
    wire.broker.retained.clear()

    async with opened_site(wire, tmp_path) as again, again.agent() as parts:
        await again.reaches("active", digest=bundle.digest)
        assert parts.slot.model.name == "better"
    await wire.close()


async def test_files_that_cannot_be_read_are_named_and_the_centre_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wire, models = MemoryWire(), tmp_path / "center" / "models"
    models.mkdir(parents=True)
    for name in ("wishes.json", "rollout.json"):
        (models / name).write_bytes(b'{"cut')
    async with opened_site(wire, tmp_path) as site:
        assert (site.center.shipping.wishes, site.center.rollouts.current) == ({}, None)
    await wire.close()

    said = "".join(capsys.readouterr())
    assert "wishes.json" in said
    assert "rollout.json" in said
