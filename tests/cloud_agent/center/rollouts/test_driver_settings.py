"""Settings on real agents, a few first: on, back, refused, aborted, and over restarts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from cloud_agent.center.rollouts.driver import RolloutOrder
from cloud_agent.center.rollouts.rules import RolloutRules
from shared.agent.run import serving
from shared.cascade.policies import Fixed, Observation, Quantile
from shared.errors import SettingsError
from shared.runtimes import ModelSettings
from tests.support.cascades import cloud_settings
from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.cascade.policies import PolicySettings

NAMES = ("edge-1", "edge-2")
OWN = Quantile(beta=1.0)
SOON = RolloutRules(watch_s=0.0, prompts=0)
NEVER = RolloutRules(watch_s=3600.0)
WANTED = {"tier.policy.beta": "0.4", "tier.policy.window_prompts": "5"}
NEW = Quantile(beta=0.4, window_prompts=5)


@contextlib.asynccontextmanager
async def two(site: ShippingSite) -> AsyncIterator[dict[str, AgentParts]]:
    async with contextlib.AsyncExitStack() as stack:
        parts = {name: await stack.enter_async_context(site.agent(name)) for name in NAMES}
        for name in NAMES:
            await eventually(lambda name=name: ready(site, name), f"{name}'s state")  # type: ignore[misc]
        yield parts


def ready(site: ShippingSite, name: str) -> bool:
    member = site.center.registry.find(name)
    return member is not None and member.state is not None and member.life == "alive"


def policies(parts: dict[str, AgentParts]) -> list[PolicySettings]:
    return [parts[name].station.tier.policy for name in NAMES]


async def ends(site: ShippingSite, phase: str) -> str:
    def does() -> bool:
        rollout = site.center.rollouts.current
        return rollout is not None and rollout.phase == phase

    await eventually(does, f"{phase}, where it says {site.center.rollouts.says}")
    return site.center.rollouts.says


def order(rules: RolloutRules, **settings: str) -> RolloutOrder:
    return RolloutOrder(to="edge-*", settings=settings or WANTED, rules=rules)


async def test_settings_go_to_a_canary_and_then_to_all_and_the_window_stays(
    site: ShippingSite,
) -> None:
    async with two(site) as parts:
        tier = parts["edge-1"].station.tier
        for number in range(10):
            tier.route("classify", Observation(number / 10, 0.0, 4))

        rollout = await site.center.rollouts.begin(order(SOON))
        assert (rollout.canaries, rollout.name) == (
            ("edge-1",),
            "tier.policy.beta=0.4, tier.policy.window_prompts=5",
        )
        await ends(site, "done")

        await eventually(lambda: policies(parts) == [NEW, NEW], "both")
        assert tier.remember(0.0)["classify"].arrivals == (0.5, 0.6, 0.7, 0.8, 0.9)
        assert site.state("edge-1").settings == WANTED


async def test_only_the_canary_has_them_until_the_rules_are_met_and_an_abort_undoes_it(
    site: ShippingSite,
) -> None:
    async with two(site) as parts:
        await site.center.rollouts.begin(order(NEVER))
        await eventually(lambda: policies(parts) == [NEW, OWN], "the canary")
        await eventually(lambda: "of 50 prompts" in site.center.rollouts.says, "waiting")
        compares = [parts[name].station for name in NAMES]
        await eventually(lambda: all(each.compares for each in compares), "everybody compares")

        await site.center.rollouts.abort("by hand")

        await eventually(lambda: policies(parts) == [OWN, OWN], "back")
        await eventually(lambda: site.state("edge-1").settings == {}, "told")
        await eventually(lambda: not any(each.compares for each in compares), "nobody compares")


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("tier.policy.beta", "7", r"tier.policy.beta=7: tier.policy.beta"),
        ("tier.policy.betta", "0.4", "tier.policy.betta"),
        ("tier.policy.learn", "yes", "tier.policy.learn adapts the forecasts"),
    ],
)
async def test_what_a_canary_refuses_goes_back_with_its_own_sentence(
    site: ShippingSite, key: str, text: str, says: str
) -> None:
    async with two(site) as parts:
        await site.center.rollouts.begin(order(NEVER, **{key: text}))

        said = await ends(site, "back")

        assert said.startswith("edge-1 has refused: ")
        assert says in said
        assert policies(parts) == [OWN, OWN]
        await eventually(lambda: site.state("edge-1").phase == "idle", "as before")


async def test_what_is_nobodys_to_change_or_not_to_be_had_is_refused_at_once(
    site: ShippingSite,
) -> None:
    begin = site.center.rollouts.begin
    async with two(site):
        with pytest.raises(SettingsError, match=r"mqtt\.host is not for a centre to change"):
            await begin(order(SOON, **{"mqtt.host": "evil.example"}))
        with pytest.raises(SettingsError, match="no living agent is called 'x'"):
            await begin(RolloutOrder(to="x", settings=WANTED))
        with pytest.raises(SettingsError, match="name one of the two"):
            await begin(RolloutOrder(to="edge-*"))
        with pytest.raises(SettingsError, match="name one of the two"):
            await begin(RolloutOrder(to="edge-*", bundle="x", settings=WANTED))
        await begin(order(NEVER))
        with pytest.raises(SettingsError, match="is under way; recserve rollout abort"):
            await begin(order(NEVER))


async def test_settings_outlive_the_agent_and_a_model_from_the_centre_stays(
    site: ShippingSite,
) -> None:
    bundle = await site.catalogue(site.bundle("better"))
    async with two(site) as parts:
        await site.center.shipping.assign(["edge-1"], bundle.digest, "")
        await site.reaches("active", "edge-1", digest=bundle.digest)
        await site.center.rollouts.begin(order(SOON))
        await ends(site, "done")
        await eventually(lambda: policies(parts) == [NEW, NEW], "both")
        assert parts["edge-1"].slot.model.name == "better"

    async with site.agent("edge-1") as again:
        assert again.station.tier.policy == NEW, "before it heard of anybody"
        assert again.slot.model.name == "better"
        fixed = {"tier.policy.kind": "fixed", "tier.policy.threshold": "0.2"}
        await eventually(lambda: ready(site, "edge-1"), "alive")
        await site.center.rollouts.begin(RolloutOrder(to="edge-1", settings=fixed, rules=SOON))
        await eventually(lambda: again.station.tier.policy == Fixed(threshold=0.2), "fixed")
        await ends(site, "done")
        await site.center.rollouts.begin(RolloutOrder(to="edge-1", settings={}, rules=SOON))
        await eventually(lambda: again.station.tier.policy == OWN, "its own")
        assert again.slot.model.name == "better"


async def test_an_agent_that_takes_nothing_from_a_centre_is_named(site: ShippingSite) -> None:
    own = ModelSettings(source=str(site.bundle("own")))
    alone = cloud_settings(site.wire, "edge-1", model=own)
    async with serving(alone, connect=site.wire.connect):
        await eventually(lambda: site.center.registry.count("alive") == 1, "the agent")
        with pytest.raises(SettingsError, match=r"edge-1: takes nothing .* node\.authority"):
            await site.center.rollouts.begin(order(SOON))


async def test_a_centre_that_is_started_again_goes_on_with_a_rollout(tmp_path: Path) -> None:
    """It ended after it had written what it was about to do, before anybody was told."""
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as site, two(site) as parts:
        await site.center.rollouts.begin(order(NEVER))
        await eventually(lambda: policies(parts) == [NEW, OWN], "the canary")
    (tmp_path / "center/models/wishes.json").unlink()
    wire.broker.retained.clear()
    for name in NAMES:
        (tmp_path / name / "models/store.json").unlink(missing_ok=True)

    async with opened_site(wire, tmp_path) as again, two(again) as parts:
        await eventually(lambda: policies(parts) == [NEW, OWN], "the canary once more")
        await again.center.rollouts.abort("by hand")
        await eventually(lambda: policies(parts) == [OWN, OWN], "back")
    await wire.close()
