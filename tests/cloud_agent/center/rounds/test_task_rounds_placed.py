"""A plan is carried out to its end: the bundle is shipped, probed, at work, and answers jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.request import urlopen

import msgspec

from cloud_agent.center.app import Center
from cloud_agent.center.catalogue.file import MeasuredGrade, read_catalogue, write_catalogue
from cloud_agent.center.rounds.settings import RoundSettings
from cloud_agent.center.settings import CenterPart, WebSettings
from cloud_agent.center.web.server import page
from shared.agent.run import serving
from shared.bus.mqtt.settings import MqttSettings
from shared.nodes.publish import describe, put_files, sign
from shared.nodes.settings import NodeSettings
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle
from tests.support.cascades import cloud_settings
from tests.support.job_rounds import BUNDLES, write_jobs, write_measured
from tests.support.shipped import SIGNER, SITE
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path

SMALL, LARGE = (Bundle.open(BUNDLES[tier]).digest for tier in ("device", "edge"))


def settings(folder: Path) -> RoundSettings:
    """Rounds with a catalogue in which the large bundle is better by far."""
    catalogue = write_measured(folder / "catalogue.json")
    file = read_catalogue(catalogue)
    for model in file.models:
        grades = {"label": MeasuredGrade(0.99 if model.digest == LARGE else 0.3, 100, "made up")}
        file = file.with_model(msgspec.structs.replace(model, grades=grades))
    write_catalogue(catalogue, file)
    return RoundSettings(
        jobs=str(write_jobs(folder / "jobs.jsonl")),
        catalogue=str(catalogue),
        every_s=0.2,
        batch=1,
        task_rounds_per_placement=3,
    )


def read(url: str) -> str:
    with urlopen(url) as answer:  # noqa: S310 - our own page
        return bytes(answer.read()).decode()


async def test_an_agent_comes_to_serve_what_the_plan_has_for_it(tmp_path: Path) -> None:
    wire = MemoryWire()
    key = tmp_path / "models.pub"
    key.write_bytes(SIGNER.public)
    part = CenterPart(
        state=str(tmp_path / "center"),
        site=SITE,
        authority=str(key),
        web=WebSettings(port=0),
        telemetry_s=0.1,
        lease_s=30.0,
        rounds=settings(tmp_path),
    )
    node = cloud_settings(
        wire,
        "node",
        model=ModelSettings(source=str(BUNDLES["device"])),
        state=str(tmp_path / "node"),
        node=NodeSettings(authority=str(key), site=SITE, reserve_megabytes=0),
    )
    opened = Center.open(part, MqttSettings(root=wire.root), wire.bus)
    async with opened as center, page(center) as url:
        bundle = await asyncio.to_thread(describe, BUNDLES["edge"], site=SITE)
        await asyncio.to_thread(put_files, bundle, BUNDLES["edge"], center.shipping.store)
        await center.shipping.take(sign(bundle, SIGNER))
        async with serving(node, connect=wire.connect) as parts:
            assert parts.slot.model.digest == SMALL
            await eventually(lambda: parts.slot.model.digest == LARGE, "the large model", 30.0)
            assert center.rounds is not None
            fleet = center.rounds.fleet
            await eventually(lambda: fleet.model_of("node") == LARGE, "its status", 10.0)
            answered = center.rounds.ledger.counts.answered
            belief = center.rounds.beliefs.quality(LARGE, "label")
            await eventually(lambda: belief.alpha + belief.beta > 8.0, "jobs it answered", 10.0)

        assert center.rounds.ledger.counts.answered > answered
        shown = await asyncio.to_thread(read, f"{url}/placement")
        assert 'data-value="chosen">node<' in shown
        assert 'data-planned="node">sentiment-edge<' in shown
        [wish] = center.shipping.wishes.values()
        assert wish.desired.active == LARGE
        assert wish.desired.reason.startswith("placement after round ")
    await wire.close()
