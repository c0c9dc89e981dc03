from __future__ import annotations

import itertools
import math
import re
import zlib

import numpy as np
import pytest

from shared.runtimes.agreement_head import FEATURES, AgreementHead, Expert, Opinion, features
from tests.support.heads import SLOTS, WEIGHTS_OF_HEAD, random_table

GOLDEN_SCORE = 0.5533333333333333
TEXTS = (
    "",
    "Good.",
    "not good , not bad",
    "NOT good! Why? don't ask",
    "naïve café — 最高の一日でした",
    "half a \ud800 character",
    "very " * 3_000,
)


def plain_reference(
    text: str, table: bytes, constants: list[float], probabilities: list[float], label: int
) -> float:
    """The definition in the module's docstring, said slowly."""
    words = re.findall(rb"[a-z0-9'\x80-\xff]+|[!?]", text.lower().encode("utf-8", "replace"))
    hashes = {zlib.crc32(word) for word in words}
    for first, second in itertools.pairwise(words):
        hashes.add(zlib.crc32(second, zlib.crc32(first) ^ 0xFFFFFFFF))
    slots = sorted({number % SLOTS for number in hashes})
    columns = np.frombuffer(table, np.int8).reshape(len(constants), SLOTS)
    scores = [0.0] + [
        constant + (0.02 * column[slots].sum() / math.sqrt(len(slots)) if slots else 0.0)
        for constant, column in zip(constants, columns.astype(float), strict=True)
    ]
    unknown = float((columns[:, slots] == 0).mean()) if slots else 1.0
    own = math.exp(scores[label])
    others = sum(math.exp(score) for index, score in enumerate(scores) if index != label)
    backing = math.log(own / others)
    second_best = sorted(probabilities)[-2]
    margin = min(math.log(probabilities[label] / second_best), 20.0)
    length = math.log(1 + len(words))
    found = [
        margin,
        math.sqrt(margin),
        length,
        margin * length,
        math.sqrt(margin) * length,
        unknown,
        max(backing, 0.0),
        min(backing, 0.0),
    ]
    value = WEIGHTS_OF_HEAD[0] + float(np.dot(WEIGHTS_OF_HEAD[1:], found))
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("labels", [2, 3, 7])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_head_equals_its_definition(text: str, labels: int) -> None:
    table, constants = random_table(labels, seed=labels), [0.1 * n for n in range(1, labels)]
    head = AgreementHead(Expert(table, scale=0.02, constants=constants), WEIGHTS_OF_HEAD)
    for row in np.random.default_rng(labels).dirichlet(np.ones(labels), 20):
        probabilities, label = row.tolist(), int(row.argmax())

        confidence = head.confidence(text, probabilities, label)

        assert confidence == pytest.approx(
            plain_reference(text, table, constants, probabilities, label), rel=1e-9
        )


def test_what_is_packed_today_reads_the_same_tomorrow() -> None:
    expert = Expert(random_table(seed=4), scale=0.02, constants=[0.1])

    assert expert.read("Not bad at all!").scores == pytest.approx((0.0, GOLDEN_SCORE), abs=1e-12)


@pytest.mark.parametrize("probabilities", [(1.0, 0.0), (0.5, 0.5), (1.0 - 1e-16, 1e-16)])
@pytest.mark.parametrize("scale", [1e-9, 0.02, 1e6])
def test_a_confidence_is_a_share_whatever_comes(
    probabilities: tuple[float, float], scale: float
) -> None:
    head = AgreementHead(Expert(random_table(), scale=scale, constants=[0.0]), WEIGHTS_OF_HEAD)

    assert all(0.0 <= head.confidence(text, probabilities, 0) <= 1.0 for text in TEXTS)


def test_the_more_the_expert_backs_a_label_the_surer_the_head() -> None:
    expert = Expert(random_table(), scale=0.02, constants=[0.0])
    head = AgreementHead(expert, WEIGHTS_OF_HEAD)
    backed = [features(Opinion((0.0, x / 4), 9, 0.1), (0.3, 0.7), 1) for x in range(-40, 41)]

    values = [float(np.dot(WEIGHTS_OF_HEAD[1:], found)) for found in backed]

    assert values == sorted(values)
    assert len(set(values)) == len(values)
    assert all(len(found) == FEATURES for found in backed)
    both = (
        head.confidence("good film", (0.3, 0.7), 1),
        head.confidence("good film", (0.7, 0.3), 0),
    )
    score = expert.read("good film").scores[1]
    assert (both[0] > both[1]) == (score > 0)


@pytest.mark.parametrize("length", [1_000, 3 * 1_024, 0])
def test_a_table_of_an_odd_size_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="columns of a power of two"):
        Expert(bytes(length), scale=0.02, constants=[0.0])


def test_a_head_of_another_number_of_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="a head has 9 weights, not 3"):
        AgreementHead(Expert(bytes(1_024), scale=1.0, constants=[0.0]), [1.0, 2.0, 3.0])
