"""The page in a real browser: what stands on it is what is on the bus, and it follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shared.membership.status import Load, Status, encode_status
from shared.wire.control import Desired, HeldBundle, NodeReport, NodeState, Telemetry, encode_word
from tests.support.browser import Browser, browsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.wire.topics import ControlKind
    from tests.support.shown_pages import ShownPage

pytestmark = pytest.mark.slow

NODE = "pi-1"
WORDS: dict[ControlKind, Any] = {
    "report": NodeReport(
        tier="edge", release="9.9", processor="Cortex-A76", machine="Raspberry Pi 5",
        system="Linux 6.6", cores=4, memory_bytes=8_123_456_789, disk_bytes=64_000_000_123,
        disk_free_bytes=12_000_000_456, accelerators=("Hailo-8L", "Coral"),
        engines={"onnxruntime": "1.20", "torch": "2.5"}, blobs="http://10.0.0.7:8090",
        bundles=(HeldBundle("bag", "c" * 64, "2", 5_000_000, in_use=True),),
    ),
    "state": NodeState(generation=7, version=2, settings={"tier.policy.beta": "0.4"},
                       detail="tier.policy.beta=7 is above 1", active="a" * 64,
                       wanted="b" * 64, phase="fetching",
                       bytes_done=123_456, bytes_total=654_321, bytes_s=1e5, repaired=2,
                       source="http://10.0.0.9"),
    "desired": Desired(generation=9, version=2, settings={"tier.policy.beta": "7"},
                       active="b" * 64, reason="canary of a rollout"),
    "telemetry": Telemetry(
        uptime_s=71.5, kept=123_456, escalated=4567, degraded=89, failed=7, answered=123_400,
        compared=4000, agreed=3100, waiting=5, wait_ms=12.5, service_ms=2.25, decided=128_023,
        decided_ms=5000.5, mean_ms=3.25, p95_ms=9.75, thresholds={"classify": 0.8125},
        link_bytes={"edge-cloud up": 987_654_321}, processor_share=0.375,
        memory_bytes=234_567_890, temperature_c=61.5,
    ),
}  # fmt: skip
STATUS = Status("online", 5, ("classify", "tag"), "bag", Load(33.5, 2.25), 1.5, "b1",
                bundle="abcdef")  # fmt: skip
ELSEWHERE = {"version", "tier", "boot", "bundles", "wanted", "labels", "service_ms"} | {
    "bytes_done", "bytes_total", "bytes_s", "repaired", "source", "model", "bundle",
}  # fmt: skip
"""Fields of a report, state or status that stand on the page in other words."""
FIELDS = """Object.fromEntries([...document.querySelectorAll('dd[data-field]')]
    .map((each) => [each.dataset.field, each.dataset.value]))"""
SHOWN = """[...document.querySelectorAll('dd[data-field]')]
    .every((each) => each.textContent.trim().length > 0)"""


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with browsing(tmp_path / "browser") as opened:
        yield opened


def flat(word: Any, prefix: str) -> dict[str, str]:
    """Return the fields of a word as they went over the bus, by their path, as text."""
    fields: dict[str, str] = {}
    for name, value in word.items():
        if name == "bundles":
            continue
        if isinstance(value, dict):
            fields |= flat(value, f"{prefix}.{name}")
        else:
            said = ", ".join(value) if isinstance(value, list) else str(value)
            fields[f"{prefix}.{name}"] = said
    return fields


async def publish(shown: ShownPage, words: dict[ControlKind, Any]) -> dict[str, str]:
    """Have an agent say all of it; return what that was on the bus, field by field."""
    topics = shown.center.topics
    expected: dict[str, str] = {}
    payload = encode_status(STATUS)
    await shown.bus.publish(topics.status("edge", NODE), payload, retain=True)
    expected |= flat(json.loads(payload), "status")
    for kind, word in words.items():
        payload = encode_word(word)
        await shown.bus.publish(topics.control(NODE, kind), payload, retain=kind != "telemetry")
        expected |= flat(json.loads(payload), kind)
    return expected


async def test_every_field_that_an_agent_tells_stands_on_its_page_and_follows(
    shown: ShownPage, browser: Browser
) -> None:
    expected = await publish(shown, WORDS)
    assert len(expected) > 45

    await browser.open(f"{shown.url}/nodes/{NODE}")
    await browser.shows("document.querySelectorAll('dd[data-field]').length > 40", True)
    found = await browser.says(FIELDS)
    missing = {path for path in expected if path not in found}
    assert {path.rpartition(".")[2] for path in missing} <= ELSEWHERE
    assert {path: found[path] for path in found if path in expected} == {
        path: expected[path] for path in found if path in expected
    }
    assert await browser.says(SHOWN), "each is there for people too"
    way = await browser.says("document.querySelector('[data-transfer]').parentElement.textContent")
    for part in (
        "123.5 KB of 654.3 KB",
        "100.0 KB/s",
        "5.3 s left",
        "http://10.0.0.9",
        "2 bad chunks",
    ):
        assert part in way
    held = await browser.says("document.querySelector('[data-bundle]').textContent")
    assert held == "cccccccccccc 5.0 MB in use"

    await publish(shown, {"telemetry": Telemetry(kept=123_457)})
    kept = "document.querySelector('[data-field=\"telemetry.kept\"]').dataset.value"
    await browser.shows(kept, "123457")


async def test_the_page_says_since_when_it_is_stale(shown: ShownPage, browser: Browser) -> None:
    await shown.announce(NODE, kept=1)
    live = "document.getElementById('live').textContent.slice(0, 11)"
    await browser.open(f"{shown.url}/nodes/{NODE}")
    await browser.shows(live, "live")

    shown.center.events.close()

    await browser.shows(live, "stale since")


async def test_settings_are_rolled_out_and_taken_back_on_the_page(
    shown: ShownPage, browser: Browser
) -> None:
    await shown.announce("edge-1", kept=1)
    topic = shown.center.topics.control("edge-1", "state")
    await shown.bus.publish(topic, encode_word(NodeState()), retain=True)
    await browser.open(f"{shown.url}/models")
    await browser.shows("document.readyState", "complete")
    form = "document.querySelector('form[data-order=settings]')"
    fill = f"{form}.settings.value = 'tier.policy.beta=0.4 tier.policy.costs=[1, 2]'"
    await browser.evaluate(f"{fill}, {form}.token.value = {json.dumps(shown.token)}")

    await browser.evaluate(f"{form}.querySelector('button[value=rollout]').click()")

    says = f"{form}.querySelector('output').textContent"
    await browser.shows(says, "1 of 1 agents get it first")
    name = "document.querySelector('#fragment .note b')?.textContent ?? ''"
    await browser.shows(name, "tier.policy.beta=0.4, tier.policy.costs=[1, 2]")
    wanted = shown.center.shipping.wishes["edge-1"].desired.settings
    assert wanted == {"tier.policy.beta": "0.4", "tier.policy.costs": "[1, 2]"}
    refused = NodeState(
        generation=shown.center.shipping.wishes["edge-1"].desired.generation,
        phase="refused",
        detail="tier.policy.costs is not of quantile",
    )
    await shown.bus.publish(topic, encode_word(refused), retain=True)
    note = "(document.querySelector('#fragment .note')?.textContent ?? '').includes"
    await browser.shows(f"{note}('edge-1 has refused: tier.policy.costs is not of quantile')", True)
    assert shown.center.shipping.wishes["edge-1"].desired.settings == {}
