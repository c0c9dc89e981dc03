from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from models.pack import Bounds, main, pack
from shared.errors import BundleError, DataError
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS
from shared.tasks.classify import requests
from tests.support.tiny_models import LABELS, MAX_TOKENS, write_classifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

TEXTS = ("good soup", "bad", "a very, very good film; the soup was not bad", "zzz", "what?")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_classifier(tmp_path_factory.mktemp("pack") / "source")
    record = {"base": "someone/base", "data_rows": {"sst2/train.tsv.gz": 6911}}
    (folder / "training.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "dev.tsv"
    path.write_text(
        "text\tnumber\tname\ngood soup\t1\tpositive\nbad\t1\tnegative\nzzz\t0\tpositive\n"
    )
    return path


@pytest.fixture(scope="module")
def int8(source: Path, data: Path) -> Bundle:
    evaluate = [f"by_number={data}:number", f"by_name={data}:name"]
    return main(
        str(source),
        source.parent / "made" / "int8",
        name="tiny",
        version="7",
        evaluate=evaluate,
        licence="Apache-2.0",
        console=Console(quiet=True),
    )


@pytest.fixture(scope="module")
def float32(source: Path) -> Bundle:
    return pack(str(source), source.parent / "float32", name="tiny", quantise=False)


def probabilities(**settings: object) -> list[float]:
    """The probabilities of the second label on the texts."""
    model = load_model(ModelSettings(**settings))  # type: ignore[arg-type] # any setting
    entries = model.answer(requests(TEXTS))
    return [entry.probabilities[1] for entry in entries if isinstance(entry, Scored)]


def test_the_manifest_says_what_was_packed(int8: Bundle) -> None:
    manifest = int8.manifest
    assert (manifest.name, manifest.version, manifest.licence) == ("tiny", "7", "Apache-2.0")
    assert (manifest.labels, manifest.max_tokens) == (LABELS, MAX_TOKENS)
    assert (manifest.task, manifest.precision) == ("classify", "int8")
    assert set(manifest.files) == {WEIGHTS, TOKENIZER}


def test_the_facts_of_its_training_go_into_the_manifest(int8: Bundle) -> None:
    assert int8.manifest.source == "someone/base"
    assert int8.manifest.trained_on == ("sst2/train.tsv.gz: 6911 rows",)


def test_nothing_of_the_machine_it_was_made_on_goes_into_the_bundle(
    int8: Bundle, source: Path
) -> None:
    for path in int8.folder.iterdir():
        assert str(source.parent).encode() not in path.read_bytes(), path
        assert b"site-packages" not in path.read_bytes(), path


def test_quality_is_what_the_bundle_itself_scores(int8: Bundle) -> None:
    positive = [p > 0.5 for p in probabilities(source=str(int8.folder), batch_prompts=1)]
    said = [positive[0], positive[1], positive[3]]
    by_number, by_name = int8.manifest.quality["by_number"], int8.manifest.quality["by_name"]
    assert by_number.accuracy == pytest.approx(
        sum(a == b for a, b in zip(said, [True, True, False], strict=True)) / 3, abs=1e-4
    )
    assert by_name.accuracy == pytest.approx(
        sum(a == b for a, b in zip(said, [True, False, True], strict=True)) / 3, abs=1e-4
    )
    assert by_name.rows == 3
    assert 0.5 <= by_name.mean_confidence <= 1


def test_the_float32_bundle_says_what_the_original_says(source: Path, float32: Bundle) -> None:
    original = probabilities(source=str(source), runtime="transformers")
    assert probabilities(source=str(float32.folder)) == pytest.approx(original, abs=1e-5)


def test_the_int8_bundle_says_nearly_the_same(source: Path, int8: Bundle) -> None:
    original = probabilities(source=str(source), runtime="transformers")
    packed = probabilities(source=str(int8.folder))
    assert packed == pytest.approx(original, abs=0.1)
    assert packed != pytest.approx(original, abs=1e-6)


def test_int8_really_shrinks_the_weights(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415 - optional

    from models.pack.export import export, quantise  # noqa: PLC0415 - optional

    config = BertConfig(
        vocab_size=8000,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=256,
        max_position_embeddings=64,
    )
    export(BertForSequenceClassification(config).eval(), tmp_path / "float32.onnx")
    quantise(tmp_path / "float32.onnx", tmp_path / "int8.onnx")
    sizes = [(tmp_path / name).stat().st_size for name in ("int8.onnx", "float32.onnx")]
    assert sizes[0] < 0.28 * sizes[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["float32.onnx", "int8.onnx"]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """A folder that must still be empty at the end."""
    folder = tmp_path / "empty"
    folder.mkdir()
    yield folder
    assert not list(folder.iterdir()), "something was left behind"


def test_a_quantised_model_that_disagrees_is_not_written(tmp_path: Path, empty: Path) -> None:
    source = write_classifier(tmp_path / "ill")
    _make_ill_conditioned(source)
    with pytest.raises(BundleError, match=r"quantised model does not agree .*--no-quantise"):
        pack(str(source), empty / "out", name="ill")


def _make_ill_conditioned(folder: Path) -> None:
    """Give one unused token an embedding so large that eight bits leave nothing for the rest."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - optional

    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"][4] = 1e4
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_an_exported_model_that_disagrees_is_not_written(source: Path, empty: Path) -> None:
    with pytest.raises(BundleError, match="exported model does not agree"):
        pack(str(source), empty / "out", name="x", bounds=Bounds(float32_difference=1e-12))


def test_a_model_that_is_no_classifier_is_not_written(tmp_path: Path, empty: Path) -> None:
    source = write_classifier(tmp_path / "encoder")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
    with pytest.raises(BundleError, match="no sequence classifier"):
        pack(str(source), empty / "out", name="x")


def test_a_label_the_model_does_not_know_is_found_before_the_work(
    source: Path, tmp_path: Path, empty: Path
) -> None:
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text("text\tlabel\ngood\tpositive\nbad\tneutral\n")
    console = Console(file=io.StringIO())
    with pytest.raises(DataError, match=r"wrong\.tsv: row 3 has the label 'neutral'"):
        main(str(source), empty / "out", name="x", evaluate=[f"dev={wrong}"], console=console)
    assert isinstance(console.file, io.StringIO)
    assert "exported" not in console.file.getvalue()


def test_another_folder_is_never_written_over(source: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="is no bundle"):
        pack(str(source), tmp_path, name="x")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_bundle_is_replaced_as_a_whole(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / MANIFEST).write_text("format: 0\n")
    (out / "left_over.bin").write_bytes(b"old")
    pack(str(source), out, name="new", quantise=False, samples=TEXTS)
    assert Bundle.open(out).manifest.name == "new"
    assert not (out / "left_over.bin").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
