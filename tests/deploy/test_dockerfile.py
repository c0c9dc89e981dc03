"""The Dockerfile, without a builder: what goes into which image."""

from __future__ import annotations

import importlib.metadata
import shlex
from fnmatch import fnmatch

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.deploy_files import ROOT, Stage, dockerfile, ingredients, lineage

TIERS = ("device", "edge", "cloud")
ENGINES = {"torch", "transformers"}


def pip_installs(stages: list[Stage]) -> list[Requirement]:
    """Return what ``RUN pip install`` lines ask for; ``.`` is this project."""
    wanted = []
    for step in (step for stage in stages for step in stage.each("RUN")):
        words = shlex.split(step.rest)
        if words[:2] != ["pip", "install"]:
            assert "pip" not in words, f"a way to install that this test does not read: {step.rest}"
            continue
        names = [word for word in words[2:] if not word.startswith(("-", "$", "http"))]
        wanted += [
            Requirement(name.replace(".", "recserve", 1) if name[0] == "." else name)
            for name in names
        ]
    return wanted


def closure(wanted: list[Requirement]) -> set[str]:
    """Return the names of the wanted distributions and all that they require, as far as known."""
    seen: set[tuple[str, str]] = set()
    waiting = [(req.name, extra) for req in wanted for extra in ("", *req.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for further in map(Requirement, required):
            if further.marker is None or further.marker.evaluate({"extra": extra}):
                waiting += [(further.name, also) for also in ("", *further.extras)]
    return {canonicalize_name(name) for name, _ in seen}


@pytest.mark.parametrize("tier", ["device", "edge"])
def test_the_image_of_a_small_tier_holds_no_torch(tier: str) -> None:
    installed = closure(pip_installs(ingredients(tier)))
    assert "onnxruntime" in installed
    assert not installed & ENGINES


def test_the_cloud_image_holds_torch() -> None:
    assert closure(pip_installs(ingredients("cloud"))) >= ENGINES


def test_the_build_of_torch_is_the_default_one_unless_another_index_is_named() -> None:
    torch = dockerfile()["program-torch"]
    (index,) = torch.each("ARG")
    assert index.rest == 'TORCH_INDEX=""'
    first = torch.each("RUN")[0]
    assert first.rest == 'pip install torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}'


@pytest.mark.parametrize("stage", dockerfile().values(), ids=lambda stage: stage.name)
def test_everything_that_is_copied_exists(stage: Stage) -> None:
    for source in stage.sources:
        if source.startswith("models/bundles/") and not (ROOT / "models/bundles").exists():
            pytest.skip("models/bundles is not there yet")
        assert (ROOT / source).exists(), source


@pytest.mark.parametrize("tier", TIERS)
def test_an_image_holds_the_bundle_of_its_tier_and_no_other(tier: str) -> None:
    copied = [source for stage in ingredients(tier) for source in stage.sources]
    bundles = [source for source in copied if "bundles" in source]
    assert bundles == [f"models/bundles/sentiment-{tier}/"]
    assert "models/" not in copied


def test_every_package_of_the_project_is_copied() -> None:
    packages = {
        path.parent.name
        for path in ROOT.glob("*/__init__.py")
        if path.parent.name not in {"chaos", "fuzz", "tests"}
    }
    copied = {source.split("/")[0] for source in dockerfile()["program"].sources}
    assert packages <= copied


def test_the_builder_is_sent_what_is_copied_and_little_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    dropped = [rule for rule in rules[1:] if not rule.startswith("!")]
    copied = [source.rstrip("/") for stage in dockerfile().values() for source in stage.sources]
    assert rules[0] == "*"
    assert {source.split("/")[0] for source in copied} == kept
    assert not [source for source in copied if any(fnmatch(source, rule) for rule in dropped)]


@pytest.mark.parametrize("tier", TIERS)
def test_an_agent_runs_without_rights_and_is_asked_for_its_health(tier: str) -> None:
    stages = lineage(tier)
    (user,) = [step.rest for stage in stages for step in stage.each("USER")]
    assert user.split(":")[0].isdigit()
    assert int(user.split(":")[0]) > 0
    assert [stage.name for stage in stages if stage.each("HEALTHCHECK")] == ["agent"]
