"""Models shipped to real agents: fetched, checked, probed, flipped, or refused with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cloud_agent.center.app import Center
from cloud_agent.center.settings import CenterPart, WebSettings
from cloud_agent.center.web.server import page
from experiments.testbed.processes import free_port
from shared.agent.run import serving
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import BundleError
from shared.nodes.publish import describe, put_files, sign
from shared.nodes.settings import NodeSettings
from shared.nodes.signing import ManifestSigner, new_key
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle
from shared.tasks import Request
from shared.wire.manifest import encode_manifest
from tests.support.cascades import cloud_settings
from tests.support.shipped import SIGNER, SITE
from tests.support.tiny_models import write_bundle
from tests.support.wires import MemoryWire, MqttWire, Wire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.wire.control import NodeState
    from shared.wire.manifest import ShippedBundle

GOOD = Request("classify", "good")
OTHER = ManifestSigner(new_key())


@dataclass
class Plant:
    """A centre, and folders for what agents keep."""

    center: Center
    wire: Wire
    folder: Path
    url: str

    def bundle(self, name: str, **more: Any) -> Path:
        return write_bundle(self.folder / "made" / name, name=name, **more).folder

    async def catalogue(self, folder: Path, **more: Any) -> ShippedBundle:
        """Bring a bundle to the centre as push does."""
        bundle = await asyncio.to_thread(describe, folder, site=SITE, **more)
        await asyncio.to_thread(put_files, bundle, folder, self.center.shipping.store)
        return await self.center.shipping.take(sign(bundle, SIGNER))

    @contextlib.asynccontextmanager
    async def agent(self, name: str = "cloud-1", **node: Any) -> AsyncIterator[AgentParts]:
        key = self.folder / "models.pub"
        key.write_bytes(SIGNER.public)
        own = self.folder / "made" / "own"
        settings = cloud_settings(
            self.wire,
            name,
            model=ModelSettings(source=str(own if own.exists() else self.bundle("own"))),
            state=str(self.folder / name),
            node=NodeSettings(authority=str(key), site=SITE, reserve_megabytes=0, **node),
        )
        async with serving(settings, connect=self.wire.connect) as parts:
            await eventually(lambda: self.center.registry.find(name) is not None)
            yield parts

    def state(self, name: str = "cloud-1") -> NodeState:
        member = self.center.registry.find(name)
        assert member is not None
        assert member.state is not None
        return member.state

    async def reaches(self, phase: str, name: str = "cloud-1", *, digest: str = "") -> None:
        def does() -> bool:
            member = self.center.registry.find(name)
            state = member.state if member else None
            return state is not None and (state.phase, state.wanted) == (phase, digest)

        member = self.center.registry.find(name)
        await eventually(does, f"{phase}, where it is {member.state if member else None}")


@contextlib.asynccontextmanager
async def planted(wire: Wire, folder: Path) -> AsyncIterator[Plant]:
    (folder / "center.pub").write_bytes(SIGNER.public)
    part = CenterPart(
        state=str(folder / "center"),
        site=SITE,
        authority=str(folder / "center.pub"),
        web=WebSettings(port=0),
        telemetry_s=0.1,
    )
    mqtt = MqttSettings(root=wire.root)
    async with Center.open(part, mqtt, wire.bus) as center, page(center) as url:
        yield Plant(center, wire, folder, url)


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    wire = MemoryWire()
    async with planted(wire, tmp_path) as made:
        yield made
    await wire.close()


async def test_a_bundle_is_fetched_probed_and_at_work(plant: Plant) -> None:
    bundle = await plant.catalogue(plant.bundle("better"))
    async with plant.agent() as parts:
        assert parts.slot.model.name == "own"
        assert await plant.center.shipping.assign(["cloud-1"], bundle.digest, "") == ["cloud-1"]
        await plant.reaches("active", digest=bundle.digest)

        assert (parts.slot.model.name, parts.slot.model.digest) == ("better", bundle.digest)
        assert plant.state().bytes_done == bundle.size_bytes
        assert plant.state().source == plant.url

        def listed() -> list[tuple[str, bool]]:
            member = plant.center.registry.find("cloud-1")
            held = member.report.bundles if member and member.report else ()
            return [(one.name, one.in_use) for one in held]

        await eventually(lambda: listed() == [("better", True)], "once, and in use")


async def test_where_only_the_broker_can_be_reached_files_come_over_it(
    wire: Wire, tmp_path: Path
) -> None:
    async with planted(wire, tmp_path) as plant:
        plant.center.blobs_url = ""
        await plant.center.announce()
        bundle = await plant.catalogue(plant.bundle("better"))
        async with plant.agent() as parts:
            await eventually(lambda: parts.node.reporter.center.state == "online")
            await plant.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await plant.reaches("active", digest=bundle.digest)

            assert parts.slot.model.name == "better"
            assert plant.state().source == "mqtt"
            assert plant.center.shipping.pieces.sent_bytes >= bundle.size_bytes


async def test_an_agent_that_is_started_again_begins_with_what_it_had_and_downloads_nothing(
    plant: Plant,
) -> None:
    bundle = await plant.catalogue(plant.bundle("better"))
    async with plant.agent():
        await plant.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await plant.reaches("active", digest=bundle.digest)
    (plant.folder / "cloud-1/models/store.lock").write_text("left behind by a killed process")
    for file in bundle.files:
        plant.center.shipping.store.blob(file.sha256).unlink()

    async with plant.agent() as parts:
        assert parts.slot.model.name == "better", "before it heard of anybody"
        await plant.reaches("active", digest=bundle.digest)
        assert parts.slot.model.name == "better"


async def test_a_store_that_was_lost_is_no_reason_not_to_start(plant: Plant) -> None:
    bundle = await plant.catalogue(plant.bundle("better"))
    async with plant.agent():
        await plant.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await plant.reaches("active", digest=bundle.digest)
    weights = plant.folder / "cloud-1/models/bundles" / bundle.digest / "model.onnx"
    weights.write_bytes(b"not what was signed")

    async with plant.agent() as parts:
        assert parts.slot.model.name == "own"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("unsigned", "is not signed"),
        ("of another", "signed by"),
        ("altered", "signature of the manifest is not valid"),
        ("other site", "is for the site 'elsewhere'"),
        ("other bundle", "the manifest is of"),
    ],
)
async def test_a_manifest_that_is_not_the_authoritys_is_refused_and_the_old_model_goes_on(
    plant: Plant, fault: str, says: str
) -> None:
    folder = plant.bundle("better")
    bundle = describe(folder, site="elsewhere" if fault == "other site" else SITE)
    digest = bundle.digest
    if fault == "other bundle":
        bundle = msgspec.structs.replace(bundle, digest="f" * 64)
    manifest = sign(bundle, OTHER if fault == "of another" else SIGNER)
    if fault == "unsigned":
        manifest = msgspec.structs.replace(manifest, signature="")
    if fault == "altered":
        manifest = msgspec.structs.replace(manifest, body=manifest.body.replace("better", "beter"))
    forger = await settled(plant.wire.bus("forger"))
    async with plant.agent() as parts:
        topics = plant.center.topics
        await forger.publish(topics.manifest(digest), encode_manifest(manifest), retain=True)
        wish = msgspec.json.encode({"generation": 1 << 50, "active": digest})
        await forger.publish(topics.control("cloud-1", "desired"), wish, retain=True)
        await plant.reaches("refused", digest=digest)

        assert says in plant.state().detail
        assert parts.slot.model.name == "own"
        with pytest.raises(BundleError):  # or its files are missing
            await plant.center.shipping.take(manifest)


async def test_a_manifest_that_is_rolled_back_is_refused_but_for_the_base_that_was_signed(
    plant: Plant,
) -> None:
    shipping = plant.center.shipping
    old = await plant.catalogue(write_bundle(plant.folder / "a", name="bag", bias=0.1).folder,
                                serial=10)  # fmt: skip
    new = await plant.catalogue(write_bundle(plant.folder / "b", name="bag", bias=0.2).folder,
                                serial=20)  # fmt: skip
    newest = await plant.catalogue(write_bundle(plant.folder / "c", name="bag", bias=0.3).folder,
                                   serial=30, base=new.digest)  # fmt: skip
    async with plant.agent() as parts:
        await shipping.assign(["cloud-1"], newest.digest, "")
        await plant.reaches("active", digest=newest.digest)
        await shipping.assign(["cloud-1"], old.digest, "")
        await plant.reaches("refused", digest=old.digest)
        assert "is rolled back: its serial is 10, and 30 was here" in plant.state().detail
        assert parts.slot.model.digest == newest.digest

        await shipping.assign(["cloud-1"], new.digest, "")
        await plant.reaches("active", digest=new.digest)
        assert parts.slot.model.digest == new.digest


async def test_a_model_that_fails_its_probe_is_rolled_back_and_no_prompt_notices(
    plant: Plant,
) -> None:
    bad = await plant.catalogue(plant.bundle("bad", labels=("cold", "warm")))
    async with plant.agent() as parts:
        await plant.center.shipping.assign(["cloud-1"], bad.digest, "")
        await plant.reaches("rolled back", digest=bad.digest)

        assert "other labels" in plant.state().detail
        assert parts.slot.model.name == "own"


async def test_a_quota_makes_room_by_dropping_what_was_unused_for_longest(plant: Plant) -> None:
    async with plant.agent(quota_megabytes=1) as parts:
        for number in range(4):
            folder = plant.bundle(f"m{number}")
            (folder / "ballast.bin").write_bytes(bytes([number]) * 400_000)
            Bundle.write(folder, Bundle.open(folder).manifest)
            bundle = await plant.catalogue(folder)
            await plant.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await plant.reaches("active", digest=bundle.digest)
        assert parts.node.store is not None
        assert parts.node.store.size_bytes <= 1 << 20
        held = [one.name for one in parts.node.store.held(parts.slot.model.digest)]
        assert "m3" in held
        assert "m0" not in held


async def test_neighbours_lend_what_they_have(plant: Plant) -> None:
    bundle = await plant.catalogue(plant.bundle("better"))
    async with plant.agent(serve_port=free_port()):
        await plant.center.shipping.assign(["cloud-1"], bundle.digest, "")
        await plant.reaches("active", digest=bundle.digest)
        lender = plant.center.registry.find("cloud-1")
        await eventually(lambda: bundle.digest in held(plant))
        plant.center.blobs_url = ""
        await plant.center.announce()
        async with plant.agent("cloud-2"):
            await plant.center.shipping.assign(["cloud-2"], bundle.digest, "")
            await plant.reaches("active", "cloud-2", digest=bundle.digest)
            assert lender is not None
            assert lender.report is not None
            assert plant.state("cloud-2").source == lender.report.blobs


async def test_roll_back_goes_to_what_was_before_and_gc_drops_what_nobody_needs(
    plant: Plant,
) -> None:
    shipping = plant.center.shipping
    made: list[ShippedBundle] = []
    for number in range(3):
        folder = write_bundle(plant.folder / f"v{number}", name="bag", bias=number / 10).folder
        base = made[-1].digest if made else ""
        made.append(await plant.catalogue(folder, serial=number + 1, base=base))
    async with plant.agent() as parts:
        for bundle in made:
            await shipping.assign(["cloud-1"], bundle.digest, "")
            await plant.reaches("active", digest=bundle.digest)
        assert await shipping.roll_back(["cloud-1"], "") == {"cloud-1": made[1].digest}
        await plant.reaches("active", digest=made[1].digest)
        assert parts.slot.model.digest == made[1].digest

        await eventually(lambda: len(held(plant)) == 3, "all three on the disk")
        dropped = await shipping.collect()
        assert dropped[""] == [made[0].digest]
        assert dropped["cloud-1"] == [made[0].digest]
        await eventually(lambda: made[0].digest not in held(plant), "gone from the agent")
        assert not any(shipping.store.has(f) for f in made[0].files if f.name == "bundle.yaml")


def held(plant: Plant) -> set[str]:
    member = plant.center.registry.find("cloud-1")
    assert member is not None
    assert member.report is not None
    return {bundle.digest for bundle in member.report.bundles}


async def test_wishes_outlive_the_centre_and_a_broker_that_forgot(tmp_path: Path) -> None:
    wire = MemoryWire()
    async with planted(wire, tmp_path) as plant:
        bundle = await plant.catalogue(plant.bundle("better"))
        await plant.center.shipping.assign(["cloud-1"], bundle.digest, "for later")
    wire.broker.retained.clear()

    async with planted(wire, tmp_path) as again, again.agent() as parts:
        await again.reaches("active", digest=bundle.digest)
        assert parts.slot.model.name == "better"
    await wire.close()


async def test_names_never_become_paths(plant: Plant) -> None:
    for reference in ("../../etc/passwd", "/etc/passwd", ".."):
        store = plant.center.shipping.store
        with pytest.raises(Exception, match="is no SHA-256"):
            store.blob(reference)
    forger = await settled(plant.wire.bus("forger"))
    async with plant.agent() as parts:
        topic = plant.center.topics.control("cloud-1", "desired")
        wish = {"generation": 1 << 50, "active": "../../own", "evict": []}
        await forger.publish(topic, msgspec.json.encode(wish))
        await plant.reaches("refused", digest="../../own")
        assert "is no SHA-256" in plant.state().detail
        assert parts.slot.model.name == "own"


async def test_prompts_are_answered_while_a_bundle_is_on_its_way(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    async with planted(mosquitto, tmp_path) as plant:
        bundle = await plant.catalogue(plant.bundle("better"))
        for file in bundle.files:
            plant.center.shipping.store.blob(file.sha256).rename(tmp_path / file.sha256)
        async with plant.agent() as parts:
            await plant.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await eventually(lambda: plant.state().phase in ("fetching", "failed"))
            answers = [
                await parts.batcher.solve(GOOD, deadline_s=time.monotonic() + 5) for _ in range(20)
            ]
            assert len(answers) == 20
            for file in bundle.files:
                (tmp_path / file.sha256).rename(plant.center.shipping.store.blob(file.sha256))
            await plant.reaches("active", digest=bundle.digest)


async def test_not_one_prompt_fails_while_models_are_exchanged_under_load(plant: Plant) -> None:
    made = [
        await plant.catalogue(
            write_bundle(plant.folder / f"v{number}", name="bag", bias=number / 10).folder,
            serial=number + 1,
        )
        for number in range(3)
    ]
    async with plant.agent() as parts:
        over = asyncio.Event()
        answered = 0

        async def ask() -> None:
            nonlocal answered
            while not over.is_set():
                await parts.batcher.solve(GOOD, deadline_s=time.monotonic() + 10)
                answered += 1

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for bundle in made:
            await plant.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await plant.reaches("active", digest=bundle.digest)
            assert parts.slot.model.digest == bundle.digest
        over.set()
        await asyncio.gather(*asking)
        assert answered > 100
