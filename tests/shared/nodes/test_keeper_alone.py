"""Agents without room for two models, as processes: prompts go to others meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from shared.membership.status import decode_status
from shared.runtimes.bundle import Bundle
from tests.support.rollout_sites import bundle, rollout_site
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wires import MqttWire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
BALLAST = 40 << 20
ONE = {"memory_megabytes": 60}
"""Room for one model of that size, and not for two."""


def heavy(made: Bundle, size_bytes: int = BALLAST) -> Bundle:
    """Put bytes into a bundle that no other one has."""
    (made.folder / "ballast.bin").write_bytes(os.urandom(size_bytes))
    return Bundle.write(made.folder, Bundle.open(made.folder).manifest)


async def test_prompts_go_to_other_agents_while_a_model_is_exchanged_without_room_for_two(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    heavy(bundle(tmp_path, "own"))
    async with rollout_site(mosquitto, tmp_path, node=ONE) as site:
        watcher = await settled(mosquitto.bus("watcher"))
        statuses = Inbox(watcher)
        await watcher.subscribe(f"{mosquitto.root}/v1/status/edge/edge-1", statuses.take)
        better = heavy(bundle(tmp_path, "better"))

        await site.push(better, "--to", "edge-1")
        await site.serve({"edge-1": better.digest, "edge-2": "", "edge-3": ""})

        before = site.answered
        await eventually(lambda: site.answered > before + 100, "prompts afterwards", 30.0)
        told = [decode_status(payload) for payload in statuses.payloads]
        served = [(status.model, status.tasks) for status in told]
        steps = [
            step for n, step in enumerate(served) if step != served[n - 1 if n else n] or not n
        ]
        assert steps == [("own", ("classify",)), ("own", ()), ("better", ("classify",))]
        assert site.failed == 0
        assert "no room" not in site.processes["edge-2"].said


async def test_one_that_fails_its_probe_or_is_too_large_leaves_the_one_before_at_work(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    heavy(bundle(tmp_path, "own"))
    async with rollout_site(mosquitto, tmp_path, node=ONE) as site:
        other = heavy(bundle(tmp_path, "other", labels=("no", "yes")))
        await site.push(other, "--to", "edge-1")
        rolled = await site.phase("edge-1", "rolled back")
        assert "other has other labels" in rolled["detail"]

        large = heavy(bundle(tmp_path, "large"), 70 << 20)
        await site.push(large, "--to", "edge-1")
        refused = await site.phase("edge-1", "refused")
        assert "node.memory_megabytes" in refused["detail"]

        before = site.answered
        await eventually(lambda: site.answered > before + 100, "prompts afterwards", 30.0)
        fleet = await site.asked("/api/fleet")
        [edge] = [agent for agent in fleet["agents"] if agent["name"] == "edge-1"]
        assert (edge["status"]["model"], edge["status"]["tasks"]) == ("own", ["classify"])
        assert site.failed == 0
