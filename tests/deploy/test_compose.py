"""compose.yaml, without an engine: is it well formed, closed to the outside, and complete?"""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from device_agent.settings import DeviceSettings
from shared.agent.settings import AgentSettings
from shared.settings.file import load
from tests.support.deploy_files import ROOT, compose, dockerfile, lineage, schema, seconds

CUDA = ("compose.yaml", "deploy/compose.cuda.yaml")
SERVICES: dict[str, dict[str, Any]] = compose()["services"]
AGENTS = [name for name, service in SERVICES.items() if "build" in service]


@pytest.mark.parametrize("files", [("compose.yaml",), ("deploy/compose.cuda.yaml",), CUDA])
def test_every_file_is_a_compose_file(files: tuple[str, ...]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(compose(*files), schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [("restrat", "always"), ("read_only", "yes, please"), ("ports", ["1883"]), ("build", ".")],
)
def test_a_mistake_in_a_service_would_be_found(key: str, value: object) -> None:
    tree = compose()
    tree["services"]["edge"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, schema())


def test_there_is_a_broker_and_an_agent_of_every_tier() -> None:
    assert set(SERVICES) >= {"broker", "cloud", "edge", "device"}
    assert {SERVICES[name]["build"]["target"] for name in AGENTS} == {"cloud", "edge", "device"}


@pytest.mark.parametrize("name", AGENTS)
def test_every_build_target_is_in_the_dockerfile(name: str) -> None:
    assert SERVICES[name]["build"]["target"] in dockerfile()


def test_the_build_arguments_of_the_gpu_image_are_in_the_dockerfile() -> None:
    build = compose(*CUDA)["services"]["cloud"]["build"]
    torch = dockerfile()["program-torch"]
    declared = {step.rest.partition("=")[0] for step in torch.each("ARG")}
    assert build["target"] == "cloud"
    assert set(build["args"]) <= declared


@pytest.mark.parametrize("name", AGENTS)
def test_the_settings_file_of_every_command_is_in_its_image(name: str) -> None:
    for files in ((), CUDA):
        service = compose(*files)["services"][name]
        (config,) = re.findall(r"configs/[a-z-]+\.yaml", " ".join(service["command"]))
        assert (ROOT / config).is_file()
        copied = [path for stage in lineage(service["build"]["target"]) for path in stage.sources]
        assert config in copied


def test_only_the_broker_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"broker": ["127.0.0.1:1883:1883"]}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_with_as_few_rights_as_it_can(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_has_the_time_to_finish_what_it_has_in_hand(name: str) -> None:
    target = SERVICES[name]["build"]["target"]
    kind = DeviceSettings if target == "device" else AgentSettings
    settings = load(kind, ROOT / f"configs/{target}.yaml")
    drain_s = settings.limits.drain_s + settings.mqtt.drain_s + 1
    assert seconds(SERVICES[name]["stop_grace_period"]) > drain_s


@pytest.mark.parametrize("name", AGENTS)
def test_agents_wait_for_a_broker_that_is_healthy(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {"broker": {"condition": "service_healthy"}}
    assert "healthcheck" in SERVICES["broker"]
    assert SERVICES[name]["environment"]["RECSERVE_MQTT__HOST"] == "broker"


def test_no_two_services_can_have_the_same_name_at_the_broker() -> None:
    devices = {
        name: service for name, service in SERVICES.items() if "device" in service.get("image", "")
    }
    names = [service["environment"]["RECSERVE_AGENT"] for service in devices.values()]
    containers = [service["container_name"] for service in devices.values()]
    assert len({*names}) == len({*containers}) == len(devices) > 1
    for name in ("edge", "cloud"):
        assert f"agent={name}-$(uname -n)" in SERVICES[name]["command"][-1]
        assert "container_name" not in SERVICES[name]


def test_every_network_and_volume_is_declared() -> None:
    tree = compose()
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(tree["networks"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in tree["volumes"] or (ROOT / source).is_file()


def test_the_broker_is_recent_enough() -> None:
    image, version = SERVICES["broker"]["image"].split(":")
    assert image == "eclipse-mosquitto"
    assert tuple(map(int, version.split("."))) >= (2, 0, 20)


def test_the_broker_differs_from_the_usual_one_in_address_and_folder_alone() -> None:
    def options(name: str) -> set[str]:
        lines = (ROOT / "broker" / name).read_text(encoding="utf-8").splitlines()
        return {line for line in lines if line and not line.startswith("#")}

    assert options("compose.conf") ^ options("mosquitto.conf") == {
        "listener 1883",
        "listener 1883 127.0.0.1",
        "persistence_location /mosquitto/data/",
        "persistence_location /var/lib/mosquitto/",
    }
