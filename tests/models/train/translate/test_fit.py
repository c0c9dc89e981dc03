"""Fitting a translator: it learns, and a run that was stopped ends as one that was not."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sacrebleu")

import torch

from models.train.translate.captions import CaptionPair
from models.train.translate.decode import measure, translate
from models.train.translate.fit import TranslatorSchedule, fit
from models.train.translate.net import Shape, Translator, build
from models.train.translate.pieces import encode_pairs, train_tokenizer
from tests.support.tiny_captions import CAPTIONS

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = [CaptionPair(*both) for both in CAPTIONS]
TOKENIZER = train_tokenizer(PAIRS, 300)
SHAPE = Shape(hidden=32, heads=2, feed_forward=64, layers=2)
SHORT = TranslatorSchedule(epochs=3, tokens_per_batch=300, peak_learning_rate=2e-2, dropout=0.1)
LONG = TranslatorSchedule(epochs=20, tokens_per_batch=300, peak_learning_rate=2e-2, dropout=0.0)


class Stopped(Exception):
    pass


def trained(state: Path, schedule: TranslatorSchedule, stop_after: int | None = None) -> Translator:
    translator = build(SHAPE, TOKENIZER, seed=1)

    def report(epoch: int) -> str:
        if epoch + 1 == stop_after:
            raise Stopped
        return ""

    rows = encode_pairs(TOKENIZER, PAIRS * 10)
    fit(translator.model, rows, schedule, 5, "test", state, report)
    return translator


def test_it_learns_to_translate(tmp_path: Path) -> None:
    translator = trained(tmp_path / "a.state", LONG)
    assert translate(translator, ["A cook sings.", "A dog sleeps."], "test") == [
        "Ein Koch singt.",
        "Ein Hund schläft.",
    ]
    score = measure(translator, PAIRS, "test")
    assert (score.rows, score.bleu, score.chrf) == (len(PAIRS), 100.0, 100.0)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole.state", SHORT)
    with pytest.raises(Stopped):
        trained(tmp_path / "parts.state", SHORT, stop_after=2)
    parts = trained(tmp_path / "parts.state", SHORT)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_an_untrained_net_ends_somewhere() -> None:
    texts = translate(build(SHAPE, TOKENIZER, seed=1), ["A dog runs.", "A man"], "test")
    assert len(texts) == 2
