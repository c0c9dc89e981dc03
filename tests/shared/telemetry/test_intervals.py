from __future__ import annotations

import math

import pytest

from shared.telemetry.intervals import wilson


@pytest.mark.parametrize(("right", "prompts"), [(0, 1), (1, 1), (3, 10), (999, 1000), (5, 5)])
def test_a_wilson_interval_ends_where_the_share_seen_is_as_unlikely_as_its_level(
    right: int, prompts: int
) -> None:
    """The share seen lies 1.96 of the end's own standard deviations from either end."""
    interval = wilson(right, prompts)

    assert -1e-9 < interval.low < interval.high < 1 + 1e-9
    for end in interval:
        if 1e-9 < end < 1 - 1e-9:
            deviation = math.sqrt(end * (1 - end) / prompts)
            assert abs(right / prompts - end) / deviation == pytest.approx(1.96, abs=1e-3)
