"""What Prometheus and Grafana are given asks for metrics that agents have, and alerts fire."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from shared.telemetry.metrics import Metrics
from tests.support.deploy_files import ROOT
from tests.support.processes import skip_without_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULES = ROOT / "deploy/prometheus/rules.yml"
FIRING = ROOT / "tests/deploy/firing.yml"
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/recserve.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = BOARD["panels"]
ALERTS: dict[str, str] = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    for rule in group["rules"]
}
VARIABLES = {"$__rate_interval": "5m", "$agent": ".*", "$tier": ".*"}
OF_PROMETHEUS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
LABELS_OF_PROMETHEUS = {"job", "instance", "le"}


def plain(expression: str) -> str:
    """Return a panel's expression as Grafana sends it."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def of_panels() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", plain(target["expr"])


EXPRESSIONS = {**ALERTS, **dict(of_panels())}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_every_expression_asks_for_metrics_and_labels_that_agents_have(expression: str) -> None:
    metrics = {metric.name: metric for metric in Metrics().described}
    bare = re.sub(r'"[^"]*"', '""', expression)
    asked = set(re.findall(r"\b(?:recserve|process|python)_\w+|\bup\b", bare))
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    labels = set(re.findall(r"(\w+)\s*(?:=~?|!=|!~)\s*\"", bare))
    for some in re.findall(r"\b(?:by|on|group_left)\s*\(([^)]*)\)", bare):
        labels |= {label.strip() for label in some.split(",")}

    assert asked
    assert asked - OF_PROMETHEUS <= set(metrics)
    offered = {label for name in asked - OF_PROMETHEUS for label in metrics[name].labels}
    assert labels <= offered | LABELS_OF_PROMETHEUS


def test_every_alert_is_seen_to_fire() -> None:
    tests = yaml.safe_load(FIRING.read_text("utf-8"))["tests"]
    expected = [sample for test in tests for check in test["promql_expr_test"]
                for sample in check["exp_samples"]]  # fmt: skip
    fired = re.findall(r'alertname="(\w+)", alertstate="firing"', str(expected))

    assert sorted(fired) == sorted(ALERTS)


def test_the_board_can_be_imported_anywhere() -> None:
    assert not {"id", "__inputs"} & set(BOARD)
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == [
        "datasource",
        "tier",
        "agent",
    ]
    sources = re.findall(r'"uid": "([^"]*)"', json.dumps(PANELS))
    assert set(sources) == {"${datasource}"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["title"] and panel["description"] for panel in PANELS)


def test_no_panel_lies_on_another_or_beside_the_board() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    taken = [
        (x, y)
        for place in places
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_promtool_accepts_the_rules_and_the_example() -> None:
    assert promtool("check", "rules", str(RULES)) == ""
    assert promtool("check", "config", str(RULES.parent / "prometheus.yml")) == ""


def test_alerts_fire_when_they_should_and_not_before() -> None:
    assert promtool("test", "rules", str(FIRING)) == ""


def test_promtool_reads_every_expression_of_the_board(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, (_, expression) in enumerate(of_panels())
    ]
    file = tmp_path / "board.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))

    assert promtool("check", "rules", str(file)) == ""


def promtool(*arguments: str) -> str:
    """Return what promtool finds wrong."""
    skip_without_program("promtool", "prometheus")
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""
