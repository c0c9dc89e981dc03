"""``recserve rollout`` against a real centre: begun, told, aborted, and refused in one sentence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from cloud_agent.center.web.access import token_place
from recserve.cli import main
from shared.cascade.policies import Quantile
from tests.support.shipping_sites import opened_site
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.shipping_sites import ShippingSite


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ShippingSite]:
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as opened:
        yield opened
    await wire.close()


async def says(site: ShippingSite, *words: str, fails: bool = False) -> str:
    token = str(token_place(site.center.settings))
    where = ["--center", site.url, "--token-file", token]
    result = await asyncio.to_thread(CliRunner().invoke, main, ["rollout", *words, *where])
    assert (result.exit_code != 0) == fails, result.output
    return result.output


async def test_settings_are_begun_told_and_taken_back_by_hand(site: ShippingSite) -> None:
    async with site.agent("edge-1") as parts:
        await eventually(lambda: site.center.registry.count("alive") == 1, "the agent")
        assert await says(site, "status") == "no rollout\n"

        begun = await says(
            site, "start", "--to", "edge-*", "--set", "tier.policy.beta=0.4",
            "--canary", "0.5", "--rule", "watch_s=600", "--rule", "errors=0.5",
        )  # fmt: skip

        assert begun.endswith(
            "tier.policy.beta=0.4: canary\n"
            "canaries: edge-1 (1 of 1 agents)\n"
            "1 of 1 agents get it first\n"
        )
        rollout = site.center.rollouts.current
        assert rollout is not None
        assert (rollout.rules.watch_s, rollout.rules.errors, rollout.rules.canary) == (
            600,
            0.5,
            0.5,
        )
        tier = parts.station.tier
        await eventually(lambda: tier.policy == Quantile(beta=0.4), "the settings")
        assert (await says(site, "status")).startswith("tier.policy.beta=0.4: canary\n")
        assert "aborted by hand" in await says(site, "abort")
        await eventually(lambda: tier.policy == Quantile(beta=1.0), "its own")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--set", "tier.policy.beta"), "--set 'tier.policy.beta' is not of the form KEY=VALUE"),
        (("--set", "tier.policy.beta=1", "--own"), "give one of --set, --own and --bundle"),
        ((), "give one of --set, --own and --bundle"),
        (("--own", "--rule", "erors=0.5"), "erors"),
        (("--own", "--rule", "errors=5"), "errors"),
        (("--set", "node.store=/etc"), "node.store is not for a centre to change"),
        (("--bundle", "nothing"), "no bundle here is called 'nothing'"),
    ],
)
async def test_what_cannot_be_begun_is_one_sentence(
    site: ShippingSite, words: tuple[str, ...], why: str
) -> None:
    said = await says(site, "start", "--to", "edge-*", *words, fails=True)

    assert why in said
    assert len(said.splitlines()) == 1
