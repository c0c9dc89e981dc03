"""A model that does clearly worse than the one before is taken back; any other one is kept."""

from __future__ import annotations

import pytest

from edge_agent.nights.canary import AgreedAbove, Judgement, judge
from edge_agent.nights.settings import NightSettings

SETTINGS = NightSettings(base="base", watch_prompts=50, watch_s=3_600.0)


@pytest.mark.parametrize(
    ("before", "after", "watched_s", "judgement"),
    [
        (AgreedAbove(100, 80), AgreedAbove(10, 2), 10.0, "wait"),  # too few to say
        (AgreedAbove(100, 80), AgreedAbove(20, 6), 10.0, "take back"),
        (AgreedAbove(100, 80), AgreedAbove(30, 23), 10.0, "wait"),
        (AgreedAbove(100, 80), AgreedAbove(50, 38), 10.0, "keep"),  # within what chance does
        (AgreedAbove(100, 80), AgreedAbove(5, 5), 3_600.0, "keep"),
        (AgreedAbove(), AgreedAbove(50, 5), 10.0, "keep"),  # nothing to compare it with
    ],
)
def test_a_model_is_judged_by_the_one_before(
    before: AgreedAbove, after: AgreedAbove, watched_s: float, judgement: Judgement
) -> None:
    assert judge(SETTINGS, before, after, watched_s) == judgement


def test_earlier_comparisons_fade_above_the_most_that_count() -> None:
    agreement = AgreedAbove()
    for same in [True] * 500 + [False] * 100:
        agreement = agreement.note(same=same, most=50)

    assert agreement.compared == pytest.approx(50)
    assert agreement.same / agreement.compared < 0.2


def test_without_a_bound_every_comparison_counts() -> None:
    agreement = AgreedAbove()
    for same in (True, False, True):
        agreement = agreement.note(same=same)

    assert agreement == AgreedAbove(3, 2)
