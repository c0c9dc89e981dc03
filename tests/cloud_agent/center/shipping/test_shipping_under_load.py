"""Prompts are answered while models come and are exchanged."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from cloud_agent.center.shipping.wishes import Wishes
from shared.tasks import Request
from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.tiny_models import write_bundle
from tests.support.wires import MqttWire, eventually

if TYPE_CHECKING:
    from pathlib import Path


GOOD = Request("classify", "good")


async def test_prompts_are_answered_while_a_bundle_is_on_its_way(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    async with opened_site(mosquitto, tmp_path) as site:
        bundle = await site.catalogue(site.bundle("better"))
        for file in bundle.files:
            site.center.shipping.store.blob(file.sha256).rename(tmp_path / file.sha256)
        async with site.agent() as parts:
            await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await eventually(lambda: site.state().phase in ("fetching", "failed"))
            answers = [
                await parts.batcher.solve(GOOD, deadline_s=time.monotonic() + 5) for _ in range(20)
            ]
            assert len(answers) == 20
            for file in bundle.files:
                (tmp_path / file.sha256).rename(site.center.shipping.store.blob(file.sha256))
            await site.reaches("active", digest=bundle.digest)


async def test_not_one_prompt_fails_while_models_are_exchanged_under_load(
    site: ShippingSite,
) -> None:
    made = [
        await site.catalogue(
            write_bundle(site.folder / f"v{number}", name="bag", bias=number / 10).folder,
            serial=number + 1,
        )
        for number in range(3)
    ]
    async with site.agent() as parts:
        over = asyncio.Event()
        answered = 0

        async def ask() -> None:
            nonlocal answered
            while not over.is_set():
                await parts.batcher.solve(GOOD, deadline_s=time.monotonic() + 10)
                answered += 1

        def answered_since(known: int) -> bool:
            return answered > known

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for bundle in made:
            known = answered
            await site.center.shipping.assign(["cloud-1"], bundle.digest, "")
            await site.reaches("active", digest=bundle.digest)
            await eventually(partial(answered_since, known), "an answer meanwhile")
            assert parts.slot.model.digest == bundle.digest
        over.set()
        await asyncio.gather(*asking)


async def test_wishes_of_many_at_a_time_are_all_kept(site: ShippingSite) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    shipping = site.center.shipping
    names = [f"cloud-{number}" for number in range(40)]
    await asyncio.gather(*(shipping.assign([name], bundle.digest, "") for name in names))
    kept = Wishes(shipping.store.folder / "wishes.json", site.center.registry)
    kept.read()

    assert sorted(kept.by_agent) == sorted(names)
