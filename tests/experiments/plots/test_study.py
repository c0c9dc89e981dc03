from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from experiments.datasets.sets import Part
from experiments.evaluation.burden import paper_hops
from experiments.evaluation.matrix import Matrix
from experiments.evaluation.offline import replay
from experiments.evaluation.oracle import oracle
from experiments.evaluation.statistics import auroc
from experiments.plots.card import cards, draw_cards
from experiments.plots.course import _moving_share, draw_shares, draw_thresholds
from experiments.plots.style import save
from experiments.plots.tradeoff import Family, Point, draw_tradeoff
from shared.cascade.policies import KeepAll, Quantile
from shared.telemetry.intervals import Interval
from tests.support.matrices import random_matrix, straight_costs

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

pytest.importorskip("matplotlib")


def texts(figure: Figure) -> list[Text]:
    from matplotlib.text import Text  # noqa: PLC0415 - skipped without it

    return [found for found in figure.findobj(Text) if isinstance(found, Text)]


def box(text: Text) -> Bbox:
    """Where the words stand, without the line that leads to them."""
    from matplotlib.text import Text  # noqa: PLC0415 - skipped without it

    return Text.get_window_extent(text)


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


def shifting() -> Matrix:
    matrix = random_matrix(300)
    parts = (Part("films", 100), Part("meals", 200))
    return Matrix(msgspec.structs.replace(matrix.data, parts=parts), matrix.tiers)


def test_the_tradeoff_names_every_policy_beside_its_line(tmp_path: Path) -> None:
    matrix = random_matrix(300)
    names = ("quantile", "fixed", "random", "quality")
    families = [
        Family(
            name,
            tuple(
                Point(0.2 * step, 0.8 + 0.02 * step, Interval(0.8, 0.9), f"β {step}")
                for step in range(4)
            ),
        )
        for name in names
    ]
    bound = oracle(matrix.right, straight_costs(matrix, paper_hops))

    figure = draw_tradeoff(
        families, bound, title="Films", unit="links", alone=[Point(2.0, 0.9, None, "cloud alone")]
    )

    assert save(figure, tmp_path / "tradeoff")[0].stat().st_size > 10_000
    for expected in (*names, "Films", "burden, links", "cloud alone", "β 2", "the bound"):
        assert expected in words(figure)
    boxes = [box(text) for text in texts(figure) if text.get_text() in names]
    assert len(boxes) == 4
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_a_tradeoff_of_single_points_is_drawn(tmp_path: Path) -> None:
    matrix = random_matrix(50)
    bound = oracle(matrix.right, straight_costs(matrix, paper_hops))

    figure = draw_tradeoff([Family("keep", (Point(0.0, 0.8),))], bound, title="x", unit="links")

    save(figure, tmp_path / "single")
    assert "keep" in words(figure)


def test_thresholds_name_the_tiers_that_escalate_and_mark_the_seams(tmp_path: Path) -> None:
    figure = draw_thresholds(replay(shifting(), [Quantile(beta=0.4)] * 3), title="Thresholds")

    save(figure, tmp_path / "thresholds")
    shown = words(figure).split("\n")
    assert {"device", "edge", "films", "meals"} <= set(shown)
    assert "cloud" not in shown


def test_thresholds_of_a_tier_that_saw_nothing_are_left_out() -> None:
    figure = draw_thresholds(replay(shifting(), [KeepAll()] * 3), title="Thresholds")

    assert "edge" not in words(figure).split("\n")


def test_shares_name_every_tier_with_its_share_of_all(tmp_path: Path) -> None:
    replayed = replay(shifting(), [Quantile(beta=0.4)] * 3)

    figure = draw_shares(replayed, title="Who answers", window_prompts=50)

    save(figure, tmp_path / "shares")
    for tier, share in zip(("device", "edge", "cloud"), replayed.share, strict=True):
        assert f"{tier} ({share:.0%})" in words(figure)


def test_a_moving_share_counts_the_last_rows_only() -> None:
    hits = np.random.default_rng(0).random(60) < 0.4

    slow = [hits[max(0, end - 7) : end].mean() for end in range(1, 61)]

    assert _moving_share(hits, 7) == pytest.approx(slow)


def test_the_card_gives_each_tiers_numbers_before_and_after_quantising(tmp_path: Path) -> None:
    matrix = random_matrix(400)

    figure = draw_cards(cards(matrix, random_matrix(400, seed=1)), title="Report card")

    save(figure, tmp_path / "cards")
    shown = words(figure)
    assert all(tier in shown for tier in ("device", "edge", "cloud"))
    assert f"accuracy {matrix.right[2].mean():.1%}" in shown
    assert shown.count("before quantising: ECE") == 3


def test_the_card_of_a_model_that_was_never_quantised_has_one_curve() -> None:
    shown = words(draw_cards(cards(random_matrix(400))[:1], title="Report card"))

    assert "before quantising" not in shown
    assert "as served: ECE" in shown


def test_the_card_of_a_model_with_a_head_tells_how_far_either_number_can_be_trusted(
    tmp_path: Path,
) -> None:
    matrix = random_matrix(400)
    device, *others = matrix.tiers
    said = np.random.default_rng(3).random(400)
    headed = Matrix(matrix.data, (replace(device, agreement=said), *others))

    figure = draw_cards(cards(headed), title="Report card")

    save(figure, tmp_path / "cards")
    shown = words(figure)
    assert f"AUROC {auroc(device.confidence, matrix.right[0]):.3f}" in shown
    assert f"going by agreement: AUROC {auroc(said, matrix.right[0]):.3f}" in shown
    assert shown.count("going by agreement") == 1


def test_single_points_at_one_place_share_a_mark() -> None:
    matrix = random_matrix(50)
    bound = oracle(matrix.right, straight_costs(matrix, paper_hops))

    figure = draw_tradeoff(
        [Family("CloudServe", (Point(2.0, 0.9, None, ""),))],
        bound,
        title="x",
        unit="links",
        alone=[Point(0.0, 0.7, None, "device only"), Point(2.0, 0.9, None, "cloud only")],
    )

    shown = words(figure).split("\n")
    assert "cloud only = CloudServe" in shown
    assert "device only" in shown


def test_settings_that_would_lie_over_another_are_left_out() -> None:
    matrix = random_matrix(50)
    bound = oracle(matrix.right, straight_costs(matrix, paper_hops))
    points = tuple(Point(step / 1000, 0.8, None, f"setting {step}") for step in range(50))

    figure = draw_tradeoff(
        [Family("dense", (*points, Point(1.0, 0.9, None, "last")))], bound, title="x", unit="links"
    )

    kept = [text for text in texts(figure) if text.get_text().startswith("setting")]
    assert 1 <= len(kept) < 10
    assert "last" in words(figure)


def test_percentages_have_the_digits_their_steps_need() -> None:
    figure = draw_cards(cards(random_matrix(400)), title="Report card")
    figure.draw_without_rendering()

    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]

    values = [float(label.rstrip("%")) for label in labels]
    assert values == pytest.approx([100 * tick for tick in figure.axes[0].get_yticks()])
