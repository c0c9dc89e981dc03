from __future__ import annotations

import pytest

from models.spans import score_spans

ADA, ROME = ("PER", 0, 3), ("LOC", 8, 12)


def test_all_texts_are_counted_together() -> None:
    score = score_spans([({ADA}, {ADA, ROME}), ({ADA, ROME}, {ADA}), (set(), set())])
    assert (score.found, score.true, score.right) == (3, 3, 2)
    assert score.precision == score.recall == score.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize("other", [("LOC", 0, 3), ("PER", 0, 4), ("PER", 1, 3)])
def test_an_entity_of_another_type_or_end_is_wrong(other: tuple[str, int, int]) -> None:
    score = score_spans([({other}, {ADA})])
    assert (score.precision, score.recall, score.f1) == (0.0, 0.0, 0.0)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    score = score_spans([({ADA, ROME, ("LOC", 20, 24)}, {ADA})])
    assert score.f1 == pytest.approx(2 / (1 / score.precision + 1 / score.recall))


def test_nothing_found_of_nothing_is_no_success() -> None:
    assert score_spans([]).f1 == 0.0
