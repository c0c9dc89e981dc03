"""Rollouts on agents that are processes, over Mosquitto, while prompts come: none fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.rollout_sites import EDGES, bundle, rollout_site
from tests.support.wires import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wires import MqttWire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
RULES = ("--rule", "prompts=40", "--rule", "latency_ratio=100", "--rule", "threshold_drift=1")
"""Without the rule on latency, which goes by what else runs on this machine, and that on drift: few
prompts are no window."""
QUICK = (*RULES, "--rule", "watch_s=1")
ALL = ("--to", "edge-*", "--canary", "0.3")


async def test_a_good_bundle_goes_on_to_all_and_a_bad_one_goes_back(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    async with rollout_site(mosquitto, tmp_path) as site:
        better = bundle(tmp_path, "better")
        await site.push(better)
        await site.says("rollout", "start", "--bundle", "better", *ALL, *QUICK)
        assert "prompts, 0 failed" in await site.ends("done")
        await site.serve(dict.fromkeys(EDGES, better.digest))

        await site.push(bundle(tmp_path, "worse", inverted=True))
        begun = await site.says("rollout", "start", "--bundle", "worse", *ALL, *QUICK)
        assert "canaries: edge-1 (1 of 3 agents)" in begun
        assert "the tier above agrees" in await site.ends("back")
        await site.serve(dict.fromkeys(EDGES, better.digest))

        await site.push(bundle(tmp_path, "unfit", labels=("no", "yes")))
        await site.says("rollout", "start", "--bundle", "unfit", *ALL, *QUICK)
        assert "edge-1 has rolled back: unfit has other labels" in await site.ends("back")
        await site.serve(dict.fromkeys(EDGES, better.digest))

        before = site.answered
        await eventually(lambda: site.answered > before + 40, "prompts with the old model", 30.0)
        assert site.failed == 0


async def test_settings_go_on_to_all_and_back_where_a_rule_is_broken_or_an_agent_refuses(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    async with rollout_site(mosquitto, tmp_path) as site:
        start = ("rollout", "start", *ALL, *QUICK)
        more = {"tier.policy.beta": "0.7"}
        await site.says(*start, "--set", "tier.policy.beta=0.7")
        await site.ends("done")
        await site.go_by(dict.fromkeys(EDGES, more))

        moved = ("--rule", "threshold_drift=0.02")
        await site.says(*start, *moved, "--set", "tier.policy.beta=0.05")
        assert "the threshold moved by" in await site.ends("back")
        await site.go_by(dict.fromkeys(EDGES, more))

        await site.says(*start, "--set", "tier.policy.beta=7")
        assert "edge-1 has refused: the centre wants tier.policy.beta=7" in await site.ends("back")
        await site.go_by(dict.fromkeys(EDGES, more))

        site.processes["edge-1"].kill()
        await site.lives("edge-1", "dead")
        site.start_agent("edge", "edge-1")
        await site.lives("edge-1", "alive")
        await site.go_by(dict.fromkeys(EDGES, more))
        await site.says("rollout", "start", "--to", "edge-1", "--own", *QUICK)
        await site.ends("done")
        await site.go_by({"edge-1": {}, "edge-2": more, "edge-3": more})
        assert site.failed == 0


async def test_a_centre_that_is_killed_goes_on_and_an_abort_takes_back(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    async with rollout_site(mosquitto, tmp_path) as site:
        better = bundle(tmp_path, "better")
        await site.push(better)
        slow = (*RULES, "--rule", "watch_s=4")
        await site.says("rollout", "start", "--bundle", "better", *ALL, *slow)
        await site.serve({"edge-1": better.digest, "edge-2": "", "edge-3": ""})
        site.processes["center"].kill()
        site.start_center()
        await site.ends("done")
        await site.serve(dict.fromkeys(EDGES, better.digest))

        never = ("--rule", "watch_s=3600")
        await site.says("rollout", "start", *ALL, *never, "--set", "tier.policy.beta=0.6")
        canary = {"edge-1": {"tier.policy.beta": "0.6"}, "edge-2": {}, "edge-3": {}}
        await site.go_by(canary)
        site.processes["center"].kill()
        site.start_center()
        await site.ends("canary")
        await site.go_by(canary)
        assert "aborted by hand" in await site.says("rollout", "abort")
        await site.go_by({name: {} for name in EDGES})
        await site.serve(dict.fromkeys(EDGES, better.digest))
        assert site.failed == 0
