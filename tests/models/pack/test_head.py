from __future__ import annotations

import random

import numpy as np
import pytest

from models.pack.expert import fit_table, hash_texts
from models.pack.head import Answered, fit_head
from models.pack.head_gain import measure_gain
from shared.runtimes.agreement_head import FEATURES, AgreementHead

CALM = ("soup", "film", "chair", "waiter", "ferry", "door", "screen", "night", "rain", "letter")
KIND = ("kind", "lovely", "splendid")
HARSH = ("dull", "absurd", "broken")


def sentences(count: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Different sentences with the chance that each is kind, which its one telling word says."""
    draw = random.Random(seed)
    texts, kind = [], []
    for number in range(count):
        words, label = draw.choices(CALM, k=draw.randint(3, 12)), draw.random() < 0.5
        words.insert(draw.randrange(4), draw.choice(KIND if label else HARSH))
        texts.append(" ".join([*words, f"n{number}"]))
        kind.append(0.95 if label else 0.05)
    return texts, np.array(kind)


def two(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], axis=1)


def weak_student(teacher: np.ndarray, seed: int = 0) -> np.ndarray:
    """Answers like its teacher's but for a fifth, and no less sure of those."""
    draw = np.random.default_rng(seed)
    sure = draw.uniform(0.55, 0.95, len(teacher))
    right = draw.random(len(teacher)) < 0.8
    return np.where(right == (teacher > 0.5), sure, 1 - sure)


@pytest.fixture(scope="module")
def answered() -> Answered:
    texts, teacher = sentences(1_200)
    return Answered(texts, two(weak_student(teacher)), two(teacher))


def test_an_expert_of_three_labels_learns_what_tells_them_apart() -> None:
    texts = [
        f"{word} {calm}" for word in ("dull", "kind", "odd") for calm in CALM for _ in range(9)
    ]
    targets = np.repeat(np.eye(3), 90, axis=0)

    expert = fit_table(hash_texts(texts, 1 << 8), targets, penalty=1e-4).expert()

    for label, word in enumerate(("dull", "kind", "odd")):
        assert np.argmax(expert.read(f"such a {word} evening").scores) == label


def test_a_head_tells_where_the_teacher_would_say_otherwise(answered: Answered) -> None:
    fitted = fit_head(answered, slots=1 << 12)

    assert fitted.gain.before.value == pytest.approx(0.5, abs=0.06)
    assert fitted.gain.after.value > 0.9
    assert fitted.gain.helps
    assert fitted.gain.saved[0.3].low > 0.2
    head = AgreementHead(fitted.table.expert(), fitted.weights)
    assert head.confidence("lovely film night rain door", (0.2, 0.8), 1) > 0.8
    assert head.confidence("dull film night rain door", (0.2, 0.8), 1) < 0.4
    assert len(fitted.weights) == FEATURES + 1


def test_what_is_said_of_a_head_holds_on_texts_that_it_never_saw(answered: Answered) -> None:
    fitted = fit_head(answered, slots=1 << 12)
    head = AgreementHead(fitted.table.expert(), fitted.weights)
    texts, teacher = sentences(600, seed=9)
    student = weak_student(teacher, seed=9)

    confidences = np.array(
        [
            head.confidence(text, (1 - p, p), int(p > 0.5))
            for text, p in zip(texts, student.tolist(), strict=True)
        ]
    )
    fresh = measure_gain(confidences, two(student).max(axis=1), (student > 0.5) == (teacher > 0.5))

    assert fresh.after.value == pytest.approx(fitted.gain.after.value, abs=0.05)


def test_the_same_texts_and_seed_give_the_same_head(answered: Answered) -> None:
    first, second = (fit_head(answered, slots=1 << 12, seed=4) for _ in range(2))

    assert first.table.weights == second.table.weights
    assert first.weights == second.weights
    assert first.gain == second.gain


def test_a_head_does_not_help_where_the_texts_say_nothing() -> None:
    texts, _ = sentences(800)
    draw = np.random.default_rng(1)
    teacher = draw.uniform(0, 1, 800)

    fitted = fit_head(Answered(texts, two(weak_student(teacher)), two(teacher)), slots=1 << 12)

    assert not fitted.gain.helps


def test_labels_count_in_place_of_the_teachers_answers_for_the_expert_alone() -> None:
    texts, teacher = sentences(600)
    others, truth = sentences(600, seed=2)
    nonsense = np.random.default_rng(5).uniform(0.4, 0.6, 600)
    student = weak_student(nonsense)
    labelled = {
        text: int(p > 0.5) for text, p in zip(texts + others, [*teacher, *truth], strict=True)
    }

    fitted = fit_head(Answered(texts, two(student), two(nonsense), labelled), slots=1 << 12)

    expert = fitted.table.expert()
    assert expert.read("a lovely soup").scores[1] > 1
    assert expert.read("a dull soup").scores[1] < -1
    assert fitted.gain.agreed == np.mean((student > 0.5) == (nonsense > 0.5))


def test_a_confidence_that_is_no_better_spares_nothing() -> None:
    plain = np.random.default_rng(0).random(500)
    agreed = np.random.default_rng(1).random(500) < plain

    gain = measure_gain(plain, plain, agreed)

    assert gain.more.value == gain.more.low == gain.more.high == 0.0
    assert gain.saved[0.3].value == pytest.approx(0.0, abs=0.05)
    assert not gain.helps
