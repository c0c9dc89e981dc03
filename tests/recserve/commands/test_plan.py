"""``recserve plan`` as it is typed: with the committed models and made-up machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from experiments.profiling.profile import write_measured
from recserve.cli import main
from tests.support.processes import ROOT
from tests.support.simulated import machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.planners import Planner


SHIPPED = sorted((ROOT / "configs" / "plan").glob("*.yaml"))


def test_a_plan_leaves_what_a_replay_leaves(planner: Planner) -> None:
    ran = planner.run()

    assert ran.exit_code == 0, ran.output
    report = planner.read("report.json")
    assert report["run"]["kind"] == "plan"
    assert report["prompts"]["answered"] == report["prompts"]["planned"] > 600
    assert 0.25 < report["tiers"]["device"]["escalated_share"] < 0.45
    assert report["latency_ms"]["cloud"]["p50"] > report["latency_ms"]["edge"]["p50"]
    page = (planner.folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h1>tested: plan of " in page
    assert "simulated, open loop" in page
    assert "How busy they were" in ran.output


def test_two_plans_can_be_compared(planner: Planner, tmp_path: Path) -> None:
    planner.run()
    planner.settings["links"] = {"device-edge": {"delay_ms": 30}}
    slower = ["--out", str(tmp_path / "slower")]
    assert planner.run(*slower).exit_code == 0

    compared = CliRunner().invoke(
        main,
        ["compare", str(tmp_path / "out"), str(tmp_path / "slower"), "--out", str(tmp_path / "c")],
    )

    assert compared.exit_code == 0, compared.output
    found = {
        one["figure"]: one
        for one in json.loads((tmp_path / "c" / "compare.json").read_text())["figures"]
    }
    edge = next(one for name, one in found.items() if "edge" in name and "p50" in name)
    assert 58 < edge["difference"] < 75, "there and back over 30 ms"
    assert edge["exceeds_noise"]


def test_it_finds_how_many_agents_are_needed(planner: Planner) -> None:
    planner.settings["trace"]["file"] = "poisson:rate=2000,span=2"
    planner.settings["tiers"][0]["agents"] = 400

    ran = planner.run("--find", "edge,cloud", "--p99-ms", "60", "--set", "goal.at_most=8")

    assert ran.exit_code == 0, ran.output
    plan = planner.read("plan.json")
    assert plan["reached"] is True
    last = plan["search"][-1]
    assert last["p99_ms"] <= 60
    assert last["agents"]["edge"] >= 2, (
        "one edge agent alone cannot do 600 prompts a second of 2 ms"
    )
    assert "agents reach a p99 of 60 ms" in ran.output


def test_a_goal_that_no_number_reaches_is_said_and_ends_with_1(planner: Planner) -> None:
    ran = planner.run("--find", "edge", "--p99-ms", "0.5", "--set", "goal.at_most=3")

    assert ran.exit_code == 1
    assert "Not even 3 edge agents" in " ".join(ran.output.split())


def test_devices_can_be_given_on_the_command_line(planner: Planner) -> None:
    ran = planner.run("--devices", "37")

    assert ran.exit_code == 0, ran.output
    assert planner.read("report.json")["run"]["devices"] == 37


def wrong_machine(settings: dict[str, Any]) -> None:
    settings["tiers"][1]["machine"] = "cupboard"


def wrong_link(settings: dict[str, Any]) -> None:
    settings["links"] = {"edge-moon": {"delay_ms": 1300}}


def wrong_order(settings: dict[str, Any]) -> None:
    settings["tiers"].pop(1)


def wrong_place(settings: dict[str, Any]) -> None:
    settings["broker"]["beside"] = "moon"


def virtual_edge(settings: dict[str, Any]) -> None:
    settings["tiers"][1]["virtual"] = True


def no_such_measured(settings: dict[str, Any]) -> None:
    settings["machines"]["box"]["measured"] = "nowhere.json"


def a_pool(settings: dict[str, Any]) -> None:
    settings["tiers"][0]["set"] = {"upstream.pool": "edges"}


def another_broker(settings: dict[str, Any]) -> None:
    settings["tiers"][1]["set"] = {"upstream.mqtt": {"host": "cloud.example"}}


def shared_goal(settings: dict[str, Any]) -> None:
    settings["machines"]["box"]["single"] = True
    settings["goal"] = {"p99_ms": 10, "find": ["edge"]}


def goal_of_devices(settings: dict[str, Any]) -> None:
    settings["goal"] = {"p99_ms": 10, "find": ["device"]}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (wrong_machine, "runs on 'cupboard'; machines names board, box"),
        (wrong_link, "links: edge-moon; known: device-edge, edge-cloud"),
        (wrong_order, "device escalates to edge, but in this plan its upstream is cloud"),
        (wrong_place, "broker.beside: 'moon' is no tier"),
        (virtual_edge, "virtual is for the first tier"),
        (no_such_measured, "nowhere.json: cannot be read"),
        (a_pool, "device has upstream.pool, which is not simulated"),
        (another_broker, "edge has upstream.mqtt, which is not simulated"),
        (shared_goal, "all agents of edge share the machine box"),
        (goal_of_devices, "'device' is none of edge, cloud"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_one_sentence(
    planner: Planner, spoil: Any, said: str
) -> None:
    spoil(planner.settings)

    ran = planner.run()

    assert ran.exit_code == 2, ran.output
    assert said in " ".join(ran.output.split())
    assert "Traceback" not in ran.output


def test_a_model_that_was_not_measured_is_named_with_what_to_do(planner: Planner) -> None:
    bare = msgspec.structs.replace(machine("bare").measured, models={})
    write_measured(planner.folder / "bare.json", bare)
    planner.settings["machines"]["board"]["measured"] = str(planner.folder / "bare.json")

    ran = planner.run()

    assert ran.exit_code == 2
    assert "sentiment-device was not measured there" in " ".join(ran.output.split())
    assert "recserve measure" in ran.output


def test_a_models_threads_are_part_of_what_was_measured(planner: Planner) -> None:
    planner.settings["tiers"][2]["set"] = {"model.threads": 4}

    ran = planner.run()

    assert ran.exit_code == 2
    said = " ".join(ran.output.split())
    assert "sentiment-cloud (4 threads) was not measured there" in said
    assert "--threads 4" in said


def test_settings_of_a_tier_can_differ_from_its_file(planner: Planner) -> None:
    """Values of any kind, texts that look like something else among them."""
    planner.settings["tiers"][0]["set"] = {
        "tier.policy": {"kind": "keep"},
        "agent": "1e3",
        "limits.timeout_s": 7,
    }

    ran = planner.run()

    assert ran.exit_code == 0, ran.output
    assert planner.read("report.json")["tiers"]["device"]["escalated_share"] == 0


def test_a_run_that_is_there_is_set_aside(planner: Planner) -> None:
    planner.run()
    first = planner.read("run.json")

    ran = planner.run()

    assert ran.exit_code == 0, ran.output
    assert planner.read("../out.1/run.json") == first
    assert planner.read("report.json")["prompts"]["lost"] == 0

    refused = planner.run("--trace", "not-there.jsonl")

    assert refused.exit_code == 2
    assert planner.read("../out.1/run.json") == first
    assert not (planner.folder / "out.2").exists(), "nothing is renamed for a run that cannot begin"


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_the_shipped_plans_run(path: Path, planner: Planner) -> None:
    """With a measured file of ours, and a minute of prompts instead of all."""
    if path.stem == "captions":
        pytest.importorskip("onnxruntime_genai")
    overrides = {"trace.file": "poisson:rate=20,span=5", "answers": planner.settings["answers"]}
    machines = yaml.safe_load(path.read_text(encoding="utf-8"))["machines"]
    overrides |= {f"machines.{name}.measured": str(planner.measured) for name in machines}
    overrides["goal"] = "null"
    flags = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]

    ran = CliRunner().invoke(
        main, ["plan", str(path), "--devices", "30", *flags, "--out", str(planner.folder / "out")]
    )

    assert ran.exit_code == 0, ran.output
