"""Agents and centres that start anew go on with what they had."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from experiments.testbed.processes import free_port
from shared.agent.run import serving
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.runtimes.bundle import Bundle
from shared.tasks import Request
from shared.wire.manifest import CHUNK_BYTES
from tests.support.processes import ROOT
from tests.support.shipped import CountedOrigin, content
from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

GOOD = Request("classify", "good")


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


async def test_an_agent_killed_while_it_fetched_goes_on_where_it_was_past_the_lock_left_behind(
    site: ShippingSite,
) -> None:
    folder = site.bundle("better")
    (folder / "ballast.bin").write_bytes(content(9, 12 * CHUNK_BYTES))
    Bundle.write(folder, Bundle.open(folder).manifest)
    bundle = await site.catalogue(folder)
    origin = CountedOrigin(site.center.shipping.store)
    description = site.folder / "bundle.json"
    description.write_bytes(msgspec.json.encode(bundle))
    models = site.folder / "cloud-1" / "models"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.fetch_child",
        str(models), origin.url, str(description), cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await eventually(lambda: origin.has_sent(6 * CHUNK_BYTES), "half of it")
        child.kill()
        await child.wait()
        assert (models / "store.lock").exists()
        before = origin.sent
        async with site.agent(sources=(origin.url,)):
            await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await site.reaches("active", digest=bundle.digest)
        asked = -(-bundle.size_bytes // CHUNK_BYTES) + len(bundle.files)
        assert origin.sent - before <= (asked - 5) * CHUNK_BYTES
    finally:
        origin.close()


async def test_an_agent_starts_with_what_it_had_though_nobody_can_be_reached(
    site: ShippingSite,
) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent() as parts:
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)

    nowhere = MqttSettings(port=free_port())
    settings = site.settings("cloud-1")
    async with serving(
        settings, connect=lambda _, will: MqttBus(nowhere, "cloud-1", will=will)
    ) as parts:
        answer = await parts.batcher.solve(GOOD, deadline_s=time.monotonic() + 10)
        assert parts.slot.model.digest == bundle.digest
        assert answer.confidence > 0


async def test_an_agent_that_was_lost_takes_up_what_was_wanted_of_it_meanwhile(
    site: ShippingSite,
) -> None:
    first, second = [
        await site.catalogue(site.bundle(name, bias=bias))
        for name, bias in (("a", 0.1), ("b", 0.2))
    ]
    async with site.agent():
        await site.center.shipping.assign(["cloud-1"], first.digest, "")
        await site.reaches("active", digest=first.digest)
    member = site.center.registry.find("cloud-1")
    assert member is not None
    await eventually(lambda: member.life == "dead")
    await site.center.shipping.assign(["cloud-1"], second.digest, "")
    shutil.rmtree(site.folder / "cloud-1")

    async with site.agent() as parts:
        assert parts.slot.model.name == "own", "all of its disk is gone"
        await site.reaches("active", digest=second.digest)
        assert member.life == "alive"


async def test_a_store_that_was_lost_is_no_reason_not_to_start(site: ShippingSite) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with site.agent():
        await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await site.reaches("active", digest=bundle.digest)
    weights = site.folder / "cloud-1/models/bundles" / bundle.digest / "model.onnx"
    weights.write_bytes(b"not what was signed")

    async with site.agent() as parts:
        assert parts.slot.model.name == "own"
        await eventually(
            lambda: parts.slot.model.name == "better", f"fetched again, {site.state()}"
        )


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
