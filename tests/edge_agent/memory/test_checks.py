"""How often what was remembered was wrong."""

from __future__ import annotations

import pytest

from edge_agent.memory.checks import Checks


def test_checks_are_counted_by_way_and_shared_over_all() -> None:
    checks = Checks()
    for way, right in (("direct", True), ("direct", False), ("examples", True)):
        checks.note(way, right=right)

    assert checks.counts == {"direct": (1, 1), "examples": (1, 0)}
    assert checks.wrong_share.mean == pytest.approx(1 / 3)


def test_whoever_goes_through_the_counts_is_not_disturbed_by_another_thread() -> None:
    checks = Checks({"direct": (1, 0)})
    seen = []
    for counts in checks.counts.values():
        checks.note("examples", right=True)
        seen.append(counts)

    assert seen == [(1, 0)]
