"""The pictures of docs/center.md and docs/rounds.md: a real fleet at work, as a browser sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

import pytest

from cloud_agent.center.rollouts.driver import RolloutOrder
from cloud_agent.center.rollouts.rules import RolloutRules
from shared.nodes.publish import describe, put_files, sign
from shared.nodes.settings import NodeSettings
from shared.runtimes.bundle import Bundle
from tests.support.browser import browsing
from tests.support.job_rounds import BUNDLES
from tests.support.processes import ROOT
from tests.support.shipped import SIGNER, SITE
from tests.support.tiny_models import write_bundle
from tests.support.working_fleet import WorkingFleet, working_fleet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Browser
    from tests.support.wires import MqttWire

FOLDER: Final = os.environ.get("RECSERVE_PICTURES", "")
"""Where to write them, below the root of the project: ``docs``."""
BALLAST: Final = 96 << 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="`make pictures` takes them"),
]


async def push(fleet: WorkingFleet, folder: Path) -> str:
    bundle = await asyncio.to_thread(describe, folder, site=SITE)
    await asyncio.to_thread(put_files, bundle, folder, fleet.center.shipping.store)
    return (await fleet.center.shipping.take(sign(bundle, SIGNER))).digest


async def take(
    browser: Browser, url: str, name: str, *, charts: int = 0, size: tuple[int, int] = (1280, 900)
) -> None:
    """Write a picture of a page once it is all there."""
    await browser.open(url, width=size[0], height=size[1])
    await browser.shows("document.readyState", "complete")
    await browser.shows("document.querySelectorAll('canvas').length", charts)
    await asyncio.sleep(1.0)  # a refresh of the page
    await browser.picture(ROOT / FOLDER / name)


async def test_pictures_of_a_fleet_at_work(mosquitto: MqttWire, tmp_path: Path) -> None:
    devices = {f"pi-{number}": NodeSettings() for number in range(1, 6)}
    devices["pi-6"] = NodeSettings(explain="texts")
    async with (
        working_fleet(
            mosquitto, tmp_path, devices=devices, every_s=0.4, task_rounds_per_placement=20
        ) as fleet,
        browsing(tmp_path / "browser") as browser,
    ):
        for tier in ("device", "edge"):
            await push(fleet, BUNDLES[tier])
        heavy = write_bundle(tmp_path / "heavy", name="sentiment-heavy").folder
        (heavy / "ballast.bin").write_bytes(os.urandom(BALLAST))
        Bundle.write(heavy, Bundle.open(heavy).manifest)
        heavy_digest = await push(fleet, heavy)
        asking = asyncio.ensure_future(fleet.ask(1_000_000))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(25)
            url = fleet.url
            await take(browser, url, "center/fleet.png")
            await take(browser, f"{url}/nodes/edge-1", "center/node.png", charts=5,
                       size=(1280, 1500))  # fmt: skip
            await take(browser, f"{url}/prompts", "center/prompts.png")
            await take(browser, f"{url}/placement", "rounds/placement-page.png", charts=5,
                       size=(1280, 1500))  # fmt: skip
            await browser.prefer("dark")
            await take(browser, f"{url}/cascade", "center/cascade.png", charts=6,
                       size=(1280, 1200))  # fmt: skip
            await browser.prefer("light")
            await take(browser, f"{url}/prompts", "center/phone.png", size=(390, 800))
            rules = RolloutRules(canary=0.5, watch_s=30)
            order = RolloutOrder(bundle=heavy_digest, to="edge-*", rules=rules)
            await fleet.center.rollouts.begin(order)
            await browser.open(f"{url}/models")
            done = "Number(document.querySelector('[data-transfer]')?.dataset.done) > 1e6"
            await browser.shows(done, True)
            await browser.picture(ROOT / FOLDER / "center/models.png")
            asking.cancel()
            await asking
