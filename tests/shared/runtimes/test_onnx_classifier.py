from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from shared.errors import BundleError, RuntimeUnavailable, SettingsError
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS
from shared.tasks.classify import Label, requests
from tests.support.tiny_models import LABELS, MAX_TOKENS, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnx")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "bag")


def test_a_bundle_answers_without_torch_or_transformers(bundle: Bundle) -> None:
    program = (
        "import sys\n"
        "from shared.runtimes import ModelSettings, load_model\n"
        f"model = load_model(ModelSettings(source={str(bundle.folder)!r}))\n"
        "from shared.tasks.classify import requests\n"
        "print(model.answer(requests(['a good film']))[0].answer.label)\n"
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["positive", "[]"]
    assert done.stderr == "", "loading is quiet"


def test_known_weights_give_known_answers(bundle: Bundle) -> None:
    model = load_model(ModelSettings(source=str(bundle.folder)))
    good, bad, both = model.answer(requests(["good film", "a bad bad film", "good soup, bad film"]))
    assert isinstance(good, Scored)
    assert isinstance(bad, Scored)
    assert isinstance(both, Scored)
    assert (good.answer, bad.answer) == (Label("positive"), Label("negative"))
    assert good.confidence == pytest.approx(0.8808, abs=1e-4)
    assert bad.confidence == pytest.approx(0.9820, abs=1e-4)
    assert both.confidence == pytest.approx(0.5)
    assert model.name == "bag"


def test_a_provider_that_is_not_here_is_named_with_those_that_are(bundle: Bundle) -> None:
    settings = ModelSettings(source=str(bundle.folder), providers=("tensorrt", "cpu"))
    with pytest.raises(RuntimeUnavailable, match=r"tensorrt, but .* offers cpu"):
        load_model(settings)


def test_an_altered_bundle_is_never_loaded(bundle: Bundle) -> None:
    bundle.weights.write_bytes(bundle.weights.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        load_model(ModelSettings(source=str(bundle.folder)))


def test_weights_that_are_no_graph_are_named(bundle: Bundle) -> None:
    (bundle.folder / WEIGHTS).write_bytes(b"not a graph")
    Bundle.write(bundle.folder, bundle.manifest)
    with pytest.raises(BundleError, match=WEIGHTS):
        load_model(ModelSettings(source=str(bundle.folder)))


def test_a_tokenizer_that_is_none_is_named(bundle: Bundle) -> None:
    (bundle.folder / TOKENIZER).write_text("{}")
    Bundle.write(bundle.folder, bundle.manifest)
    with pytest.raises(BundleError, match=TOKENIZER):
        load_model(ModelSettings(source=str(bundle.folder)))


def test_labels_that_do_not_fit_the_graph_are_refused(bundle: Bundle) -> None:
    Bundle.write(
        bundle.folder, msgspec.structs.replace(bundle.manifest, labels=(*LABELS, "neutral"))
    )
    with pytest.raises(BundleError, match=r"3 labels, but model\.onnx has 2"):
        load_model(ModelSettings(source=str(bundle.folder)))


def test_more_tokens_than_the_model_reads_are_refused(bundle: Bundle) -> None:
    with pytest.raises(SettingsError, match=f"reads {MAX_TOKENS} at most"):
        load_model(ModelSettings(source=str(bundle.folder), max_tokens=MAX_TOKENS + 1))


def test_a_model_that_answers_nothing_is_found_when_it_is_loaded(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "nothing", bias=float("nan"))
    with pytest.raises(BundleError, match=r"nothing: the model answers nothing: .*nan"):
        load_model(ModelSettings(source=str(bundle.folder)))
