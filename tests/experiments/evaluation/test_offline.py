from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import pytest

from experiments.evaluation.matrix import Matrix
from experiments.evaluation.offline import replay
from experiments.evaluation.study import Study, candidates
from shared.cascade.policies import (
    Budget,
    Feedback,
    Fixed,
    KeepAll,
    Observation,
    PassAll,
    PolicySettings,
    Quality,
    Quantile,
    Random,
    Routing,
)
from shared.cascade.tier import Tier
from shared.errors import SettingsError
from tests.support.matrices import random_matrix

if TYPE_CHECKING:
    from shared.tasks import Task


def test_the_quantile_decides_prompt_for_prompt_as_numpy_does_over_every_prefix() -> None:
    matrix = random_matrix(300)

    replayed = replay(matrix, [Quantile(beta=0.3)] * 3)

    windows: list[list[float]] = [[], [], []]
    for row in range(300):
        here = 0
        while True:
            confidence = float(matrix.tiers[here].confidence[row])
            windows[here].append(confidence)
            threshold = np.quantile(windows[here], 0.3)
            assert replayed.threshold[here, row] == threshold
            if here == 2 or confidence >= threshold:
                break
            here += 1
        assert replayed.tier[row] == here
        assert replayed.seen[:, row].tolist() == [tier <= here for tier in range(3)]


def test_escalation_rates_come_near_beta() -> None:
    replayed = replay(random_matrix(5000), [Quantile(beta=0.4)] * 3)

    assert replayed.seen[1].mean() == pytest.approx(0.4, abs=0.02)
    assert replayed.seen[2].mean() == pytest.approx(0.16, abs=0.02)
    assert replayed.share.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("policies", "tier"),
    [
        ((KeepAll(), KeepAll(), KeepAll()), 0),
        ((PassAll(), KeepAll(), KeepAll()), 1),
        ((PassAll(), PassAll(), KeepAll()), 2),
        ((PassAll(up=2), KeepAll(), KeepAll()), 2),
        ((PassAll(up=9), KeepAll(), PassAll()), 2),
    ],
)
def test_policies_that_do_not_look_answer_all_in_one_tier(
    policies: tuple[PolicySettings, ...], tier: int
) -> None:
    matrix = random_matrix(50)

    replayed = replay(matrix, policies)

    assert (replayed.tier == tier).all()
    assert (replayed.right == matrix.right[tier]).all()
    assert (replayed.given(replayed.matrix.label_indexes) == matrix.tiers[tier].labels).all()


def test_a_tier_that_is_passed_over_neither_sees_nor_computes() -> None:
    matrix = random_matrix(50)

    replayed = replay(matrix, [PassAll(up=2), KeepAll(), KeepAll()])

    assert not replayed.seen[1].any()
    assert np.isnan(replayed.threshold[1]).all()
    assert (replayed.compute_us[1] == 0).all()
    assert (replayed.compute_us[0] == matrix.tiers[0].elapsed_us).all()
    assert (replayed.compute_us[2] == matrix.tiers[2].elapsed_us).all()


def test_the_order_of_arrival_matters_to_a_window() -> None:
    matrix = random_matrix(200)
    rows = np.argsort(matrix.tiers[0].confidence).tolist()

    rising = replay(matrix.take(rows), [Quantile(beta=0.5)] * 3)

    assert (rising.tier == 0).all()


def test_equal_seeds_draw_equally() -> None:
    matrix, policies = random_matrix(200), [Random(share=0.5)] * 3

    first = replay(matrix, policies, seed=1)

    assert (first.tier == replay(matrix, policies, seed=1).tier).all()
    assert (first.tier != replay(matrix, policies, seed=2).tier).any()
    assert (first.seen[1][first.seen[1]] != first.seen[2][first.seen[1]]).any()


def test_policies_and_arrivals_must_match() -> None:
    matrix = random_matrix(5)

    with pytest.raises(ValueError, match="3 tiers need as many policies, not 2"):
        replay(matrix, [Fixed(threshold=0.5)] * 2)
    with pytest.raises(ValueError, match="5 prompts need as many arrivals, not 4"):
        replay(matrix, [Fixed(threshold=0.5)] * 3, arrivals_s=[0.0, 1.0, 2.0, 3.0])


class Listener(Tier):
    """A tier that writes down what it is told, in order of arrival."""

    told: ClassVar[list[tuple[Any, ...]]] = []

    def feed_back(
        self, task: Task, observation: Observation, routing: Routing, feedback: Feedback
    ) -> None:
        self.told.append((self.name, observation.at_s, routing.up, *feedback))
        super().feed_back(task, observation, routing, feedback)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    monkeypatch.setattr("experiments.evaluation.offline.Tier", Listener)
    monkeypatch.setattr(Listener, "told", [])
    return Listener.told


def test_the_origin_and_the_last_sender_learn_from_every_answer_from_above(
    told: list[tuple[Any, ...]],
) -> None:
    matrix = random_matrix(200, tiers=("device", "gateway", "edge", "cloud"))

    replayed = replay(matrix, [Quality(tolerance=0.2)] * 4)

    expected = []
    for row, top in enumerate(replayed.tier.tolist()):
        for below in sorted({0, top - 1}) if top else []:
            agreed = matrix.tiers[below].labels[row] == matrix.tiers[top].labels[row]
            name, confidence = matrix.tiers[below].tier, matrix.tiers[top].confidence[row]
            final = matrix.data.label_names[matrix.tiers[top].labels[row]]
            expected.append((name, float(row), 1, agreed, confidence, top - below, final))
    assert told == expected
    assert {name for name, *_ in told} == {"device", "gateway", "edge"}


def test_policies_that_do_not_learn_are_told_nothing(
    told: list[tuple[Any, ...]],
) -> None:
    replay(random_matrix(50), [Quantile(beta=0.5), Quality(), KeepAll()])

    assert {name for name, *_ in told} == {"edge"}


def test_the_time_of_arrival_reaches_the_policy() -> None:
    matrix = random_matrix(400)
    size = matrix.prompt_bytes.mean() + 200

    def spent(every_s: float) -> float:
        budget = Budget(budget_bytes=float(20 * size), period_s=100.0)
        policies: list[PolicySettings] = [budget, KeepAll(), KeepAll()]
        arrivals_s = [row * every_s for row in range(400)]
        return float(replay(matrix, policies, arrivals_s=arrivals_s).seen[1].mean())

    assert spent(1.0) == pytest.approx(0.2, abs=0.03)
    assert spent(2.0) == pytest.approx(0.4, abs=0.06)


def test_a_tier_with_a_head_goes_by_what_it_says_unless_a_study_wants_it_otherwise() -> None:
    plain = random_matrix(400)
    said = np.random.default_rng(1).random(400)
    headed = Matrix(plain.data, (replace(plain.tiers[0], agreement=said), *plain.tiers[1:]))
    policies: list[PolicySettings] = [Fixed(threshold=0.5), KeepAll(), KeepAll()]

    went = replay(headed, policies).tier > 0

    assert went.tolist() == (said < 0.5).tolist()
    published = replay(headed.headless(), policies)
    assert published.tier.tolist() == replay(plain, policies).tier.tolist()


def test_a_study_says_for_each_policy_what_confidence_it_goes_by() -> None:
    tiers = [{"tier": name, "model": {"source": name}} for name in ("device", "cloud")]
    grids = [
        {"name": "RecServe", "confidence": "max_probability", "tiers": [{"kind": "keep"}]},
        {"name": "agreement", "tiers": [{"kind": "keep"}]},
    ]
    study = msgspec.convert(
        {"name": "both", "sets": [{"place": "set.tsv"}], "tiers": tiers, "policies": grids}, Study
    )

    assert [tried.headless for tried in candidates(study)] == [True, False]


def test_a_policy_that_names_no_tier_of_the_study_is_refused() -> None:
    tiers = [{"tier": name, "model": {"source": name}} for name in ("device", "cloud")]
    grid = {"name": "fused", "answers": {"edge": "fused"}, "tiers": [{"kind": "keep"}]}
    study = msgspec.convert(
        {"name": "one", "sets": [{"place": "set.tsv"}], "tiers": tiers, "policies": [grid]}, Study
    )

    with pytest.raises(SettingsError, match="'fused': answers names the tier edge, but the study"):
        candidates(study)
