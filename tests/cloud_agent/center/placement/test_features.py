"""What is told of a text is what stands in it, in English and in Chinese."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_agent.center.placement.allocators import (
    AllocatorContext,
    Dqn,
    LinUcb,
    make_allocator,
)
from cloud_agent.center.placement.beliefs import Beliefs
from cloud_agent.center.placement.features import (
    RunningScale,
    TextFeatures,
    features_of,
    is_chinese,
    prompt_tokens,
)
from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode
from cloud_agent.center.placement.preferences import Weighted
from tests.cloud_agent.center.placement.test_allocators import catalogue

TABLE = [
    # "the pump shakes, and it is hot": 7 words, of which pump, shakes and hot are not common.
    pytest.param(
        "the pump shakes, and it is hot",
        TextFeatures(
            vocabulary=0.5 * 3 / 7 + 0.5 * 23 / 7,
            syntax=0.5 * 7 + 0.3 * 1 + 0.2 * 1,
            context=1 / 7,
            ambiguity=(6 * 1.5 + 0.5) / 7,
            information=2 / 7,
            symbols=0.0,
            prompt_tokens=math.log1p(8),
            answer_tokens=math.log1p(40),
        ),
        id="a sentence",
    ),
    # Two sentences, 2 digits and the signs # and % in 22 characters; error and code say something.
    pytest.param(
        "Error #42! Code is 7%.",
        TextFeatures(
            vocabulary=0.5 * 2 / 3 + 0.5 * 11 / 3,
            syntax=(0.5 * 3 + 0.3 * 2) / 2,
            context=0.0,
            ambiguity=(0.5 + 1.5 + 1.5) / 3,
            information=2 / 3,
            symbols=0.5 * 2 / 22 + 0.5 * 3 / 22,
            prompt_tokens=math.log1p(6),
            answer_tokens=math.log1p(40),
        ),
        id="digits and signs",
    ),
    # 我们|喜欢|这个|电影|，|因为|它|很|有|趣|。
    pytest.param(
        "我们喜欢这个电影，因为它很有趣。",
        TextFeatures(
            vocabulary=0.5 * 3 / 9 + 0.5 * 14 / 9,
            syntax=0.5 * 9 + 0.3 * 2 + 0.2 * 1,
            context=3 / 9,
            ambiguity=(3 * 1.5 + 2 * 1.0 + 4 * 2.0) / 9,
            information=2 / 9,
            symbols=0.0,
            prompt_tokens=math.log1p(15),
            answer_tokens=math.log1p(40),
        ),
        id="Chinese",
    ),
    pytest.param("", TextFeatures(0, 0, 0, 0, 0, 0, 0, math.log1p(40)), id="nothing"),
]


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_the_features_of_a_text_are_these(text: str, expected: TextFeatures) -> None:
    assert features_of(text, 40.0) == pytest.approx(expected)


def test_a_text_is_chinese_when_more_than_a_third_of_it_is() -> None:
    assert is_chinese("温度 T1")
    assert not is_chinese("the 温度 is high")
    assert not is_chinese("")
    assert prompt_tokens("温度 too high") == 2 + 3


@given(st.text(max_size=300))
def test_any_text_has_finite_features_and_shares_are_shares(text: str) -> None:
    found = features_of(text, 1.0)
    assert all(math.isfinite(value) for value in found)
    for share in (found.context, found.information, found.symbols):
        assert 0 <= share <= 1


def test_a_running_scale_is_the_mean_and_the_deviation_of_what_it_has_seen() -> None:
    scale = RunningScale(2)
    seen = [(3.0, 7.0), (5.0, 7.0), (10.0, 7.0), (2.0, 7.0)]
    for number, values in enumerate(seen, start=1):
        firsts = [first for first, _ in seen[:number]]
        deviation = statistics.pstdev(firsts)
        expected = (values[0] - statistics.fmean(firsts)) / deviation if deviation else 0.0
        assert scale.standardise(values) == pytest.approx((expected, 0.0))


@pytest.mark.parametrize(("kind", "jobs"), [(LinUcb, 400), (Dqn, 900)])
def test_a_learner_that_looks_at_texts_sends_the_hard_ones_to_the_better_model(
    kind: type[LinUcb | Dqn], jobs: int
) -> None:
    texts = ("fine", "the intermittent vibration, presumably electromagnetic, recurs: why?")

    def hits(*, features: bool) -> float:
        """Return how often the right model was taken at the end: the small one for what is easy."""
        cards = catalogue()
        context = AllocatorContext(
            cards, Beliefs(cards), Weighted(latency=0.0), random.Random(3), ("a", "b")
        )
        allocator = make_allocator(kind(features=features), context)
        draw, right = random.Random(4), []
        for number in range(jobs):
            hard = draw.random() < 0.5
            job = FleetJob(str(number), "question", 15.0, features_of(texts[hard], 40.0))
            nodes = [OpenNode("a", "small", 0.0, 0.0), OpenNode("b", "large", 0.0, 0.0)]
            chosen = nodes[allocator.choose(job, nodes)]
            right.append((chosen.model == "large") == hard)
            allocator.learn(
                JobOutcome(
                    job.id, job.kind, chosen.node, chosen.model, float(right[-1]), 40.0, 1.0, 1.0
                )
            )
        return statistics.fmean(right[-100:])

    assert hits(features=True) > 0.85
    assert hits(features=False) < 0.7
