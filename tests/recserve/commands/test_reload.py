"""``recserve reload`` as a person types it, at real agents that answer fifty prompts a second over
a real broker meanwhile: no prompt is lost, whether the new model is fit or not."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from shared.membership.status import Status, encode_status
from shared.runtimes.text_manifest import WEIGHTS
from shared.storage.state_dir import hold
from shared.wire.topics import Topics
from tests.support.deployed_agents import Process
from tests.support.reload_sites import PROMPTS_S, Ended, PromptStream, ReloadSite, Role
from tests.support.tiny_models import LABELS, write_bundle
from tests.support.wires import CONNECT_S, MqttWire, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Ask = Callable[[], Coroutine[Any, Any, str]]

ROLES: tuple[Role, ...] = ("device", "edge", "cloud")


@pytest.mark.parametrize("role", ROLES)
async def test_no_prompt_is_lost_while_the_model_is_exchanged_again_and_again(
    role: Role, mosquitto: MqttWire, tmp_path: Path
) -> None:
    site = ReloadSite(tmp_path, role, mosquitto)
    first = was = site.pack("bag-0")
    async with site.running() as (process, agents), site.asking() as ask:
        stream = PromptStream(ask)

        for number in range(1, 5):
            now = site.pack(f"bag-{number}")
            said = f"{site.name} answers with bag-{number} {now}, "
            assert await site.reload() == Ended(0, f"{said}before with bag-{number - 1} {was}\n")
            was = now
        assert await site.reload() == Ended(0, f"{site.name} answers with bag-4 {now} already\n")

        answers = await stream.end()
        assert len(answers) > PROMPTS_S, "many, while five were asked for"
        assert set(answers) == {LABELS[1]}, "none failed, none degraded"
        status = agents.statuses[f"{role}/{site.name}"]
        assert (status.model, status.bundle) == ("bag-4", now)
        page = await site.page()
        (about,) = re.findall(r"^recserve_info\{(.*)\} 1\.0$", page, re.MULTILINE)
        assert f'bundle="{now}"' in about
        assert 'model="bag-4"' in about
        assert 'recserve_reloads_total{outcome="exchanged"} 4.0' in page
        assert 'recserve_reloads_total{outcome="unchanged"} 1.0' in page
        assert process.said.count("model exchanged") == 4
        (started,) = [line for line in process.said.splitlines() if "agent started" in line]
        assert first in started


@pytest.mark.parametrize("role", ROLES)
async def test_a_damaged_bundle_is_refused_and_the_model_before_answers_on(
    role: Role, mosquitto: MqttWire, tmp_path: Path
) -> None:
    site = ReloadSite(tmp_path, role, mosquitto)
    good = site.pack("good")
    async with site.running() as (process, agents), site.asking() as ask:
        stream = PromptStream(ask)
        site.pack("bad")
        with (site.bundle / WEIGHTS).open("ab") as weights:
            weights.write(b"damage")

        damaged = await site.reload()
        site.settings["model"]["source"] = str(tmp_path / "nowhere")
        site.write()
        missing = await site.reload()
        write_bundle(tmp_path / "others", labels=("sad", "glad"), name="others")
        site.settings["model"]["source"] = str(tmp_path / "others")
        site.write()
        other = await site.reload()
        site.config.write_text("agnt: x", encoding="utf-8")
        os.kill(process.pid, signal.SIGHUP)
        await eventually(lambda: "unknown key 'agnt'" in process.said)

        answers = await stream.end()
        assert set(answers) == {LABELS[1]}
        goes_on = f"error: {site.name} goes on with good {good}: "
        assert damaged.status == missing.status == other.status == 2
        assert damaged.said.startswith(goes_on)
        assert "model.onnx: the file is not the one that was packed" in damaged.said
        assert missing.said.startswith(goes_on)
        assert "there is no such bundle folder" in missing.said
        assert other.said.startswith(goes_on)
        assert "others has other labels (sad, glad) than good" in other.said
        assert agents.statuses[f"{role}/{site.name}"].bundle == good
        assert 'outcome="rolled back"} 4.0' in await site.page()
        assert process.said.count("model not exchanged") == 4


async def test_another_folder_is_taken_and_what_else_changed_is_said_to_need_a_restart(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    site = ReloadSite(tmp_path, "cloud", mosquitto)
    site.pack("one")
    write_bundle(tmp_path / "two", name="two")
    async with site.running() as (process, _):
        site.settings["model"] = {"source": "./two", "batch_prompts": 4}
        site.settings["limits"] = {"timeout_s": 7}
        site.write()

        ran = await site.reload("--set", f"state={site.state}")

        assert ran.status == 0
        assert f"{site.name} answers with two " in ran.said
        untaken = "limits.timeout_s, model.batch_prompts"
        assert f"(changed, too, and only taken by a restart: {untaken})" in ran.said
        assert untaken in process.said


async def test_a_signal_is_enough_and_any_number_of_them_harms_nobody(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    site = ReloadSite(tmp_path, "device", mosquitto)
    site.pack("one")
    async with site.running() as (process, agents), site.asking() as ask:
        stream = PromptStream(ask)
        site.pack("two")
        for _ in range(50):
            os.kill(process.pid, signal.SIGHUP)
            await asyncio.sleep(0)
        both = await asyncio.gather(site.reload(), site.reload("--pid", str(process.pid)))

        assert [ran.status for ran in both] == [0, 0]
        assert agents.statuses["device/device-1"].model == "two"
        assert set(await stream.end()) == {LABELS[1]}


async def test_an_agent_that_is_told_while_it_starts_is_not_ended_by_it(
    mosquitto: MqttWire, tmp_path: Path
) -> None:
    site = ReloadSite(tmp_path, "cloud", mosquitto)
    site.pack("one")
    command = [sys.executable, "-m", "cloud_agent", "--config", str(site.config)]
    process = Process(command, tmp_path, {})
    lock = site.state / f"{site.name}.lock"
    try:
        await eventually(lambda: lock.exists() and bool(lock.read_text()), "it loads its model")
        os.kill(process.pid, signal.SIGHUP)
        await eventually(lambda: "model unchanged" in process.said)
        assert await process.stop(20) == 0
    finally:
        process.kill()


async def test_whom_it_cannot_ask_it_says_and_why(mosquitto: MqttWire, tmp_path: Path) -> None:
    site = ReloadSite(tmp_path, "edge", mosquitto)
    site.state.mkdir()

    stopped = await site.reload()
    assert stopped == Ended(
        2, f"error: edge-1 is not running: nobody holds its lock in {site.state}\n"
    )

    with hold(site.state / "edge-1.lock"):
        unknown = await site.reload()
        nobody = await site.reload("--set", "mqtt.port=1", "--set", "mqtt.connect_timeout_s=0.5")
        named = await site.reload("--set", "mqtt.username=edge-1")
        status = encode_status(Status("online", 1, ("classify",), version=2))
        bus = mosquitto.bus("older")
        await bus.start()
        await bus.wait_connected(CONNECT_S)
        topic = Topics(mosquitto.root).status("edge", "edge-1")
        await bus.publish(topic, status, retain=True)
        older = await site.reload()
    nothing = await site.reload("--set", "state=")

    for ran, said in (
        (unknown, "nothing is known of edge-1 on 127.0.0.1"),
        (nobody, "error: "),
        (named, "give --as the operator's file"),
        (older, "edge-1 runs an older RecServe, which SIGHUP ends"),
        (nothing, "state names no folder to tell which process edge-1 is; give --pid"),
    ):
        assert (ran.status, ran.said.count("\n"), "Traceback" in ran.said) == (2, 1, False), ran
        assert said in ran.said
