"""An alarm comes soon after events have become likelier than foretold, and hardly ever before."""

import random
from statistics import mean, median

import pytest

from shared.cascade.policies.change import ChangeDetector


def observations_until_alarm(apart: float, odds_grown: float, seed: int, limit: int) -> int:
    """Draw events of many chances, foretold as if the odds had not grown."""
    draw, detector = random.Random(seed), ChangeDetector(apart)
    for number in range(1, limit + 1):
        foretold = draw.uniform(0.01, 0.5)
        odds = odds_grown * foretold / (1.0 - foretold)
        event = draw.random() < odds / (1.0 + odds)
        if detector.add(foretold, event, sure=foretold < 0.1):
            return number
    return limit


def test_without_a_change_alarms_are_as_far_apart_as_promised_on_average() -> None:
    gaps = [observations_until_alarm(200.0, 1.0, seed, limit=20_000) for seed in range(200)]

    assert mean(gaps) >= 200.0


def test_events_that_become_rarer_raise_hardly_any_alarm() -> None:
    gaps = [observations_until_alarm(200.0, 0.5, seed, limit=2_000) for seed in range(50)]

    assert mean(gaps) > 1_500


@pytest.mark.parametrize(("odds_grown", "soon"), [(2.0, 250), (4.0, 75), (16.0, 30)])
def test_a_growth_of_the_odds_is_noticed_the_sooner_the_larger_it_is(
    odds_grown: float, soon: int
) -> None:
    delays = [observations_until_alarm(5_000.0, odds_grown, s, limit=5_000) for s in range(100)]

    assert median(delays) <= soon
    assert max(delays) <= 4 * soon


def test_what_came_before_a_change_does_not_delay_its_alarm() -> None:
    draw, detector = random.Random(1), ChangeDetector(5_000.0)
    for _ in range(20_000):
        assert not detector.add(0.3, draw.random() < 0.2, sure=False)

    later = next(n for n in range(1, 5_000) if detector.add(0.3, draw.random() < 0.65, sure=False))

    assert later <= 120


def test_evidence_outlives_a_detector() -> None:
    first, second = ChangeDetector(100.0), ChangeDetector(100.0)
    for event in (True, False, True):
        first.add(0.1, event, sure=True)
    second.recall(first.remember())

    assert second.remember() == first.remember()
    assert [second.add(0.02, True, sure=True) for _ in range(9)] == [
        first.add(0.02, True, sure=True) for _ in range(9)
    ]
    assert second.doubtful


def test_a_growth_among_the_sure_shows_although_most_observations_are_as_ever() -> None:
    draw, detector = random.Random(4), ChangeDetector(5_000.0)

    sure = 0
    while True:
        assert not detector.add(0.5, draw.random() < 0.45, sure=False)
        if draw.random() < 0.1:
            sure += 1
            if detector.add(0.03, draw.random() < 0.3, sure=True):
                break

    assert sure <= 60


def test_doubt_comes_before_an_alarm_and_seldom_without_a_change() -> None:
    draw, calm, changed = random.Random(5), ChangeDetector(5_000.0), ChangeDetector(5_000.0)
    doubtful = 0
    for _ in range(20_000):
        calm.add(0.12, draw.random() < 0.08, sure=True)
        doubtful += calm.doubtful
    assert doubtful < 0.05 * 20_000

    while not changed.doubtful:
        assert not changed.add(0.1, draw.random() < 0.5, sure=True)
