"""Plans: who is there, and settings that the agents themselves accept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from chaos.plan import Plan, Role, machine_of, task_of
from chaos.scenarios import MIXED, SCENARIOS, SHORT
from device_agent.settings import DeviceSettings
from edge_agent.settings import EdgeSettings
from shared.agent.settings import AgentSettings
from shared.settings.file import load
from shared.tasks import TASKS

if TYPE_CHECKING:
    from chaos.trial import ChaosScenario

_KINDS: dict[Role, type[AgentSettings]] = {
    "device": DeviceSettings,
    "edge": EdgeSettings,
    "cloud": AgentSettings,
}


@pytest.mark.parametrize("scenario", [*SCENARIOS, *MIXED], ids=lambda scenario: scenario.name)
def test_the_settings_of_every_agent_are_accepted(scenario: ChaosScenario, tmp_path: Path) -> None:
    for name, role in scenario.plan.agents().items():
        path = tmp_path / f"{name}.yaml"
        settings = scenario.plan.settings_of(
            name, port=1883, state=tmp_path, metrics=0, upper_port=1884
        )
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        kind = _KINDS[role]
        assert load(kind, path, environment={}).agent == name


def test_changes_of_a_role_are_merged_and_a_policy_is_replaced_whole() -> None:
    plan = Plan(settings={"device": {"tier": {"policy": {"kind": "pass"}}}})
    device, edge = (
        plan.settings_of(name, port=1, state=Path(), metrics=0) for name in ("device-1", "edge-1")
    )
    assert device["tier"]["policy"] == {"kind": "pass"}
    assert device["tier"]["upstream"] == "edge"
    assert edge["tier"]["policy"]["kind"] == "quantile"


def test_without_haste_settings_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "device.yaml"
    settings = Plan(hasty=False).settings_of("device-1", port=1883, state=tmp_path, metrics=0)
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    device, usual = load(DeviceSettings, path, environment={}), DeviceSettings.__struct_defaults__
    assert device.heartbeat_s in usual
    assert device.upstream in usual
    assert device.limits in usual


def test_a_cloud_behind_a_broker_of_its_own_is_reached_through_the_edge_alone() -> None:
    plan = Plan(upper=True)
    device, edge = (
        plan.settings_of(name, port=1, state=Path(), metrics=0, upper_port=2)
        for name in ("device-1", "edge-1")
    )
    assert "beyond" not in device["tier"]
    assert edge["upstream"]["mqtt"] == {"port": 2}
    assert edge["upstream"]["patience_s"] == 4.0


def test_edges_that_remember_have_a_file_each_and_an_embedder_that_the_site_writes() -> None:
    plan = Plan(remembers=True)
    memories = [
        plan.settings_of(name, port=1, state=Path("at/state"), metrics=0).get("memory")
        for name in ("edge-1", "edge-2", "cloud-1", "device-1")
    ]
    assert [memory and memory["folder"] for memory in memories] == [
        "at/edge-1-memory", "at/edge-2-memory", None, None,
    ]  # fmt: skip
    assert {memory["embedder"] for memory in memories if memory} == {"at/embedder"}


def test_a_crowd_is_one_process() -> None:
    assert Plan(devices=300, edges=1, crowd=True).processes() == ["cloud-1", "edge-1", "device-1"]


def test_a_machine_runs_an_agent_for_each_task_with_a_model_for_it() -> None:
    plan = Plan(tasks=TASKS, devices=1)
    assert plan.names("device") == ["device-1", "device-1-tag", "device-1-generate"]
    assert plan.at("edge-2") == ["edge-2", "edge-2-tag", "edge-2-generate"]
    assert (plan.at("edge-2-tag"), plan.at("broker")) == (["edge-2-tag"], ["broker"])
    served = {
        (machine_of(name), task_of(name)): plan.settings_of(name, port=1, state=Path(), metrics=0)[
            "model"
        ]
        for name in plan.names("edge")
    }
    assert Path(served["edge-1", "tag"]["source"]).name == "entities-edge"
    assert served["edge-2", "generate"]["runtime"] == "genai"


def test_the_mix_has_every_scenario_that_is_short_or_slow_and_thousands_of_prompts() -> None:
    names = {scenario.name for scenario in MIXED}
    assert names | {"every-task", "long-texts"} >= set(SHORT)
    assert all(scenario.plan.tasks == TASKS for scenario in MIXED)
    assert sum(int(scenario.seconds * scenario.rate_s) for scenario in MIXED) > 5_000


def test_names_of_scenarios_are_unique_and_the_short_form_knows_them() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    assert [name for name in names if name in SHORT] == list(SHORT)
