"""docs/reliability.md names scenarios and tests that exist, and every scenario."""

from __future__ import annotations

import re
from pathlib import Path

from chaos.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
FAILURES = PAGE.partition("## What breaks")[2].partition("\n## ")[0]


def test_every_scenario_but_the_quiet_one_stands_in_the_failure_table() -> None:
    named = set(re.findall(r"(?<!\*)\*([a-z-]+)\*(?!\*)", FAILURES))
    assert named == {scenario.name for scenario in SCENARIOS} - {"nothing"}


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", FAILURES)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_scenario_says_what_it_allows_and_why() -> None:
    bounds = re.findall(r"- \*\*([a-z-]+)\*\*: .*? Degraded: (.*?)\.\n", PAGE)
    told = dict(bounds)
    assert told == {each.name: each.allowed.says() for each in SCENARIOS}


def test_there_is_a_place_for_the_table_of_a_run() -> None:
    for name in ("chaos", "mixed", "soak"):
        assert PAGE.index(f"<!-- {name}: begin -->") < PAGE.index(f"<!-- {name}: end -->")
