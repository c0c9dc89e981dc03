"""Generated texts are replayed, judged and counted as labels are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from experiments.datasets.pairs import PairSet, read_pairs
from experiments.datasets.source import Source
from experiments.evaluation.burden import paper_hops, sent_bytes
from experiments.evaluation.evaluate import PolicyRun
from experiments.evaluation.offline import replay
from experiments.evaluation.study import Candidate, Study
from experiments.evaluation.text_matrix import TextMatrix, TierTexts
from experiments.evaluation.text_quality import bleu_interval, corpus_bleu, judge
from experiments.evaluation.text_study import (
    TextResult,
    measure_texts,
    run_text_study,
    text_cards,
)
from shared.cascade.policies import KeepAll, PassAll, PolicySettings, Quality, Quantile
from shared.errors import DataError, SettingsError
from shared.settings.file import convert
from shared.tasks.generate import Completion, agrees

if TYPE_CHECKING:
    from pathlib import Path

REFERENCES = (
    "ein Hund läuft durch den tiefen Schnee",
    "zwei Kinder spielen am Strand mit einem Ball",
    "eine Frau liest in der Küche ein Buch",
    "der Mann fährt mit dem Rad zur Arbeit",
)
ROUGH = (
    "ein Hund läuft durch den Schnee",
    "zwei Kinder am Strand",
    "eine Frau isst in der Küche einen Apfel",
    "viele Leute warten auf den Zug",
)


def texts(tier: str, said: tuple[str, ...], confidences: list[float]) -> TierTexts:
    answers = tuple(Completion(text, "stop", 9, len(text.split())) for text in said)
    return TierTexts(tier, answers, np.array(confidences), np.full(len(said), 1_000))


@pytest.fixture
def matrix() -> TextMatrix:
    data = PairSet("captions", ("dog", "children", "woman", "man"), REFERENCES)
    return TextMatrix(
        data,
        (
            texts("device", ROUGH, [0.9, 0.5, 0.4, 0.1]),
            texts("edge", (REFERENCES[0], *ROUGH[1:]), [0.9, 0.8, 0.3, 0.2]),
            texts("cloud", REFERENCES, [0.9, 0.9, 0.9, 0.9]),
        ),
    )


def result(matrix: TextMatrix, **policies: list[PolicySettings]) -> TextResult:
    runs = []
    for name, tiers in policies.items():
        rows = list(range(len(matrix.data)))
        candidate = Candidate(name, {}, tuple(tiers))
        runs.append(PolicyRun(candidate, 0, rows, replay(matrix.take(rows), tiers)))
    return TextResult(matrix, tuple(runs))


def test_bleu_of_counts_is_that_of_the_corpus() -> None:
    quality = judge(ROUGH[:3], REFERENCES[:3])

    wanted = BLEU().corpus_score(list(ROUGH[:3]), [list(REFERENCES[:3])]).score
    assert corpus_bleu(quality.counts.sum(axis=0)) == pytest.approx(wanted)
    low, high = bleu_interval(np.repeat(quality.counts, 50, axis=0))
    assert low < wanted < high


def test_chrf_is_that_of_each_sentence() -> None:
    quality = judge(ROUGH, REFERENCES)

    wanted = [CHRF().sentence_score(a, [b]).score for a, b in zip(ROUGH, REFERENCES, strict=True)]
    assert quality.chrf * 100 == pytest.approx(wanted)


def test_what_is_kept_is_judged_as_the_devices_and_what_goes_up_as_the_clouds(
    matrix: TextMatrix,
) -> None:
    top: list[PolicySettings] = [KeepAll(), KeepAll()]
    kept, sent = measure_texts(
        result(matrix, kept=[KeepAll(), *top], sent=[PassAll(up=2), *top]), (1.0, 10.0)
    )

    assert kept["bleu"] < sent["bleu"] == pytest.approx(100.0)
    assert kept["chrf"] == pytest.approx(matrix.right[0].mean() * 100)
    assert (kept["hops"], kept["answer_bytes"], kept["share_device"]) == (0.0, 0.0, 1.0)
    assert sent["hops"] == 1.0
    assert sent["text_bytes"] == 2 * np.mean([len(text) for text in matrix.texts])
    assert sent["answer_bytes"] == 2 * matrix.answer_bytes[2].mean()
    assert sent["agreement"] == 1.0
    assert kept["agreement"] == matrix.agreed(0, 2).mean()


def test_the_rule_on_texts_is_the_published_one_prompt_for_prompt(matrix: TextMatrix) -> None:
    drawn = np.random.default_rng(3)
    rows = drawn.integers(0, 4, 300).tolist()
    many = matrix.take(rows)
    device = drawn.random(300)
    many = TextMatrix(
        many.data,
        (
            TierTexts("device", many.tiers[0].answers, device, many.tiers[0].elapsed_us),
            *many.tiers[1:],
        ),
    )
    quantile = Quantile(beta=0.3, window_prompts=100)

    replayed = replay(many, [quantile, KeepAll(), KeepAll()])

    for row in range(300):
        threshold = np.quantile(device[max(0, row - 99) : row + 1], 0.3)
        assert (replayed.tier[row] > 0) == (device[row] < threshold)


def test_policies_learn_from_texts_that_say_the_same(matrix: TextMatrix) -> None:
    told: list[bool] = []

    def agreement_told(matrix: TextMatrix) -> None:
        told.extend(matrix.agreed(0, 2).tolist())

    agreement_told(matrix)
    assert told == [
        agrees(a, b) for a, b in zip(*(t.answers for t in matrix.tiers[::2]), strict=True)
    ]
    replayed = replay(matrix, [Quality(tolerance=0.2)] * 3)
    assert replayed.learns == (True, True, True)


def test_sizes_count_the_text_of_the_answer(matrix: TextMatrix) -> None:
    longer = TextMatrix(
        matrix.data,
        (*matrix.tiers[:2], texts("cloud", tuple(t * 10 for t in REFERENCES), [0.9] * 4)),
    )
    up: list[PolicySettings] = [PassAll(up=2), KeepAll(), KeepAll()]
    plain, long = (sent_bytes(replay(each, up)) for each in (matrix, longer))

    assert (long.up == plain.up).all()
    more = longer.answer_bytes[2] - matrix.answer_bytes[2]
    assert ((long.down - plain.down) - more <= 4).all()
    assert (long.down - plain.down >= more).all()
    assert (paper_hops(replay(matrix, up)).up == 1).all()


def test_cards_say_how_much_a_confidence_prefers_short_texts(matrix: TextMatrix) -> None:
    device, _, cloud = text_cards(TextResult(matrix, ()))

    assert device["rank_correlation"] == pytest.approx(0.8), "two of four neighbours are swapped"
    assert np.isnan(cloud["rank_correlation"]), "its confidence never varies"
    assert cloud["bleu"] == pytest.approx(100.0)
    assert device["tokens_s"] == pytest.approx(device["tokens"] * 1_000)


def study(**keys: Any) -> Study:
    tree = {
        "name": "translate",
        "task": "generate",
        "sets": [{"place": "p.tsv", "text": "source", "label": "target"}],
        "tiers": [{"tier": t, "model": {"source": t}} for t in ("device", "cloud")],
        "policies": [{"name": "EndServe", "tiers": [{"kind": "keep"}]}],
    }
    return convert(Study, tree | keys, "here")


@pytest.mark.parametrize(
    "keys", [{"joined": True}, {"arrival": {"order": "by_label"}}], ids=["joined", "by label"]
)
def test_what_only_labels_have_is_refused_for_texts(keys: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="texts have no labels to arrive by"):
        run_text_study(study(**keys), tmp_path)


def test_pairs_are_read_and_a_row_without_its_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("source\ttarget\na dog\tein Hund\na cat\tKatze\n", encoding="utf-8")
    source = Source(place=str(file), text="source", label="target")

    assert read_pairs(source) == PairSet("pairs", ("a dog", "a cat"), ("ein Hund", "Katze"))

    file.write_text("source\ttarget\na dog\t\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"pairs.tsv: row 2 has no target"):
        read_pairs(source)
