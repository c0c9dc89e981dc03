from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.errors import BundleError, RuntimeUnavailable, SettingsError
from shared.messages import Scored
from shared.runtimes import Model, ModelSettings, load_model
from shared.tasks import to_line
from shared.tasks.classify import requests
from tests.support.tiny_models import LABELS, MAX_TOKENS, write_classifier

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")


def load(source: Path | str, **settings: object) -> Model:
    keys: dict[str, object] = {"source": str(source), "runtime": "transformers", **settings}
    return load_model(ModelSettings(**keys))  # type: ignore[arg-type] # any setting


def reconfigure(folder: Path, **keys: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_classifier(tmp_path / "own")


def test_loading_prints_nothing(classifier: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(classifier).answer(requests(["good", "a good film"]))
    assert capfd.readouterr() == ("", "")


def test_labels_can_be_given_other_names(classifier: Path) -> None:
    plain, renamed = load(classifier), load(classifier, labels=("minus", "plus"))
    (first,), (second,) = plain.answer(requests(["good"])), renamed.answer(requests(["good"]))
    assert isinstance(first, Scored)
    assert isinstance(second, Scored)
    assert dict(zip(LABELS, ("minus", "plus"), strict=True))[to_line(first.answer)] == (
        to_line(second.answer)
    )


def test_a_wrong_number_of_labels_is_refused(classifier: Path) -> None:
    with pytest.raises(SettingsError, match=r"has 3 names, but .* has 2 labels"):
        load(classifier, labels=("a", "b", "c"))


def test_half_precision_says_nearly_the_same(classifier: Path) -> None:
    texts = ["good soup", "bad", "a very good film"]
    full, half = (
        load(classifier).answer(requests(texts)),
        load(classifier, precision="bfloat16").answer(requests(texts)),
    )
    for one, other in zip(full, half, strict=True):
        assert isinstance(one, Scored)
        assert isinstance(other, Scored)
        assert one.confidence == pytest.approx(other.confidence, abs=0.05)
        assert one.probabilities != other.probabilities


def test_more_tokens_than_the_model_reads_are_refused(classifier: Path) -> None:
    with pytest.raises(SettingsError, match=f"reads {MAX_TOKENS} at most"):
        load(classifier, max_tokens=MAX_TOKENS + 1)


def test_a_model_without_a_classifier_is_refused(own: Path) -> None:
    reconfigure(own, architectures=["BertModel"])
    with pytest.raises(BundleError, match=r"no sequence classifier .*BertModel"):
        load(own)


def test_weights_without_a_trained_head_are_refused(own: Path) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - optional

    weights = load_file(own / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, own / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BundleError, match=r"lack classifier\.weight"):
        load(own)


def test_a_model_of_several_labels_at_once_is_refused(own: Path) -> None:
    reconfigure(own, problem_type="multi_label_classification")
    with pytest.raises(BundleError, match="single-label"):
        load(own)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such model folder"):
        load(tmp_path / "nowhere")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=str(tmp_path)):
        load(tmp_path)


def test_a_hub_model_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants  # noqa: PLC0415 - optional

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BundleError, match=r"nobody/no-model.* local folder"):
        load("nobody/no-model")


def test_a_missing_gpu_is_named(classifier: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(RuntimeUnavailable, match="no CUDA GPU"):
        load(classifier, device="cuda")
