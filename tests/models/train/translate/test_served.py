"""A translator that is trained, packed and served says how good it is."""

# what needs torch is imported once it is known to be there

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sacrebleu")
pytest.importorskip("onnxruntime_genai")

from rich.console import Console

from models.pack.generator import GeneratorRequest, pack_generator
from models.train.translate.captions import CaptionPair, write_pairs
from models.train.translate.fit import TranslatorSchedule, fit
from models.train.translate.net import Shape, build, save
from models.train.translate.pieces import encode_pairs, train_tokenizer
from models.train.translate.served import main
from shared.runtimes.bundle import Bundle
from tests.support.tiny_captions import CAPTIONS, write_captions

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = [CaptionPair(*both) for both in CAPTIONS]


@pytest.mark.slow
def test_a_packed_translator_is_measured_as_it_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = train_tokenizer(PAIRS, 300)
    translator = build(Shape(hidden=32, heads=2, feed_forward=64, layers=2), tokenizer, seed=1)
    schedule = TranslatorSchedule(
        epochs=20, tokens_per_batch=300, peak_learning_rate=2e-2, dropout=0.0
    )
    rows = encode_pairs(tokenizer, PAIRS * 10)
    fit(translator.model, rows, schedule, 5, "test", tmp_path / "state", lambda _: "")
    save(translator, tmp_path / "trained", {})
    request = GeneratorRequest(
        source=str(tmp_path / "trained"),
        out=tmp_path / "bundle",
        name="tiny",
        precision="float32",
        prompts=[pair.source for pair in PAIRS],
    )
    pack_generator(request, Console(quiet=True))
    data = write_captions(tmp_path / "data")
    wrong = [CaptionPair(source, "Etwas ganz anderes steht hier.") for source, _ in CAPTIONS]
    write_pairs(data / "multi30k_en_de" / "test_2016_flickr.tsv.gz", wrong)

    assert main(["--data", str(data), str(tmp_path / "bundle")]) == 0

    assert "tiny, dev: BLEU 100.0, chrF 100.0" in capsys.readouterr().out
    manifest = Bundle.open(tmp_path / "bundle").manifest
    assert (manifest.texts["dev"].rows, manifest.texts["dev"].bleu) == (12, 100.0)
    assert manifest.texts["test_2016_flickr"].bleu < 20
    assert manifest.confidences["generate"].of == ("dev",)


def test_what_is_no_bundle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_captions(tmp_path / "data")
    write_pairs(data / "multi30k_en_de" / "test_2016_flickr.tsv.gz", PAIRS)
    assert main(["--data", str(data), str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
