"""A fleet at work in a real browser: its pages show what agents and centre say on the bus."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shared.nodes.settings import NodeSettings
from tests.support.browser import Browser, browsing
from tests.support.wires import MemoryWire, eventually
from tests.support.working_fleet import WorkingFleet, working_fleet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkingFleet]:
    """A fleet that has worked and is at rest: whatever was told last is what there is."""
    folder = tmp_path_factory.mktemp("fleet")
    wire = MemoryWire()
    devices = {"device-1": NodeSettings(), "device-2": NodeSettings(explain="texts")}
    async with working_fleet(wire, folder, devices=devices, rounds=6) as working:
        await working.ask(4)
        assert working.center.rounds is not None
        await asyncio.wait_for(working.center.rounds.finished.wait(), 30)
        await eventually(lambda: len(working.onlooker.explained) == 8, "all prompts explained")
        yield working
    await wire.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


async def test_prompts_are_explained_hop_by_hop_with_texts_only_where_that_is_allowed(
    fleet: WorkingFleet, browser: Browser
) -> None:
    await browser.open(f"{fleet.url}/prompts")
    await browser.shows("document.querySelectorAll('[data-prompt]').length", 8)
    found = await browser.says(
        """Object.fromEntries(
        [...document.querySelectorAll('[data-prompt]')].map((each) => [each.dataset.prompt, {
            hops: [...each.querySelectorAll('[data-hop]')].map((hop) => hop.dataset.hop),
            said: [...each.querySelectorAll('[data-hop]')].map((hop) => hop.textContent),
            hash: each.querySelector('small code').title,
            text: each.querySelector('blockquote')?.firstChild.textContent ?? null,
        }]))""",
    )

    told = fleet.onlooker.explained
    assert found.keys() == told.keys()
    escalated = 0
    for prompt, shown in found.items():
        hops = told[prompt]["hops"]
        assert shown["hops"] == [hop["agent"] for hop in hops]
        for said, hop in zip(shown["said"], hops, strict=True):
            assert f"sure {hop['confidence']:.3f}" in said
            assert f"{hop['threshold']:.3f}" in said
        assert shown["hash"] == told[prompt]["sha256"]
        assert shown["text"] == told[prompt].get("text")
        allowed = told[prompt]["device"] == "device-2"
        assert (shown["text"] is not None) == allowed
        if allowed:
            assert hashlib.sha256(shown["text"].encode()).hexdigest() == shown["hash"]
        escalated += len(hops) > 1
    assert escalated, "some went up"


async def test_the_placement_stands_with_its_reasons_as_the_bus_has_it(
    fleet: WorkingFleet, browser: Browser
) -> None:
    told = fleet.onlooker.told
    plan, last = told["placement/plan"], told["placement/round"]
    await browser.open(f"{fleet.url}/placement")
    await browser.shows(
        f"document.querySelector('[data-round=\"{last['round']}\"]') !== null", True
    )

    planned = await browser.says(
        """[...document.querySelectorAll('[data-planned]')]
        .map((each) => each.dataset.planned)""",
    )
    assert planned == sorted(plan["models"])
    decision = last["decision"]
    parts = await browser.says(
        """Object.fromEntries(
        [...document.querySelectorAll('[data-weighed]')].map((row) => [row.dataset.weighed,
            ['pragmatic', 'epistemic'].map((part) =>
                row.querySelector('[data-part=' + part + ']').textContent)]))""",
    )
    assert parts == {
        each["node"]: [f"{each['pragmatic']:.3f}", f"{each['epistemic']:.3f}"]
        for each in decision["weighed"]
    }
    energies = {e["node"]: -e["pragmatic"] - e["epistemic"] for e in decision["weighed"]}
    assert decision["chosen"] == min(energies, key=lambda node: energies[node])
    chosen = await browser.says("document.querySelector('[data-value=chosen]').textContent")
    assert chosen == decision["chosen"]
    others = await browser.says(
        """Object.fromEntries(
        [...document.querySelectorAll('[data-weighed]')].map((row) =>
            [row.dataset.weighed, row.lastElementChild.textContent]))""",
    )
    assert decision["others"].keys() == {"round-robin", "shortest-queue", "greedy"}
    for name, node in decision["others"].items():
        assert name in others[node]
    believed = await browser.says(
        """[...document.querySelectorAll('[data-slowdown]')]
        .map((row) => row.dataset.slowdown)""",
    )
    assert set(believed) >= {each["node"] for each in plan["beliefs"]["speed"]}
    await browser.shows("document.querySelectorAll('canvas').length", 5)


async def test_the_cascade_is_the_sum_of_what_agents_count(
    fleet: WorkingFleet, browser: Browser
) -> None:
    sums: dict[str, dict[str, int]] = {}
    links: dict[str, int] = {}
    for name, telemetry in fleet.onlooker.control("telemetry").items():
        row = sums.setdefault(name.split("-")[0], dict.fromkeys(("kept", "escalated"), 0))
        for field in row:
            row[field] += telemetry.get(field, 0)
        for link, size in telemetry.get("link_bytes", {}).items():
            links[link] = links.get(link, 0) + size
    await browser.open(f"{fleet.url}/cascade")
    await browser.shows("document.querySelectorAll('canvas').length", 6)

    found = await browser.says(
        """Object.fromEntries(
        [...document.querySelectorAll('[data-tier]')].map((row) => [row.dataset.tier,
            Object.fromEntries(['kept', 'escalated'].map((field) => [field,
                Number(row.querySelector('[data-field=' + field + ']').dataset.value)]))]))""",
    )
    assert found == sums
    assert found["device"]["kept"] + found["device"]["escalated"] == 8
    shown = await browser.says(
        """Object.fromEntries(
        [...document.querySelectorAll('[data-link]')].map((each) =>
            [each.dataset.link, Number(each.dataset.value)]))""",
    )
    assert shown == links


PATHS = ("/", "/cascade", "/models", "/placement", "/prompts", "/nodes/edge-1", "/nodes/device-2")


async def test_every_page_fits_a_phone_and_can_be_read_in_the_light_and_in_the_dark(
    fleet: WorkingFleet, browser: Browser
) -> None:
    contrast = """(() => {
        const light = (colour) => {
            const [r, g, b] = colour.match(/\\d+/g).map((v) => {
                const share = Number(v) / 255;
                return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const probe = document.createElement('i');
        document.body.append(probe);
        const of = (name) => {
            probe.style.color = `var(${name})`;
            return light(getComputedStyle(probe).color);
        };
        const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const least = Math.min(...['--ink', '--soft'].flatMap((ink) =>
            ['--ground', '--sheet'].map((ground) => ratio(of(ink), of(ground)))));
        const ground = of('--ground');
        probe.remove();
        return [least, ground];
    })()"""
    grounds = []
    for scheme in ("light", "dark"):
        await browser.prefer(scheme)
        for path in PATHS:
            await browser.open(f"{fleet.url}{path}", width=390, height=800)
            await browser.shows("document.readyState", "complete")
            wide = await browser.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, path
            least, ground = await browser.says(contrast)
            assert least >= 4.5, (scheme, path)
        grounds.append(ground)
    await browser.prefer("light")
    assert grounds[0] > 0.8
    assert grounds[1] < 0.1
