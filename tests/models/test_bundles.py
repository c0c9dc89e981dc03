"""The bundles that come with the project are whole, small and as good as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

import models
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.tasks import Request, to_line
from shared.tasks.classify import Label, requests
from shared.tasks.tag import Entities

BUNDLES = Path(models.__file__).parent / "bundles"
MEGABYTE = 1e6

PLAIN = {
    "A wonderful film, I loved every minute of it.": "positive",
    "What a dull and stupid waste of time.": "negative",
}


@pytest.mark.parametrize(
    ("name", "size_mb", "accuracy"),
    [
        ("sentiment-device", 2, 0.80),
        ("sentiment-edge", 9, 0.85),
        ("sentiment-cloud", 20, 0.875),
    ],
)
def test_a_bundle_is_whole_small_and_good(name: str, size_mb: float, accuracy: float) -> None:
    bundle = Bundle.open(BUNDLES / name)
    assert bundle.manifest.name == name
    assert bundle.size_bytes < size_mb * MEGABYTE
    assert bundle.manifest.quality["sst2_dev"].rows == 872
    assert bundle.manifest.quality["sst2_dev"].accuracy >= accuracy


@pytest.mark.parametrize("name", ["sentiment-device", "sentiment-edge", "sentiment-cloud"])
def test_a_bundle_knows_praise_from_blame(name: str) -> None:
    model = load_model(ModelSettings(source=str(BUNDLES / name)))
    for text, entry in zip(PLAIN, model.answer(requests(PLAIN)), strict=True):
        assert isinstance(entry, Scored)
        assert entry.answer == Label(PLAIN[text])


@pytest.mark.parametrize(
    ("name", "size_mb", "f1"), [("entities-device", 10, 0.80), ("entities-edge", 25, 0.87)]
)
def test_a_tagger_is_whole_small_and_good(name: str, size_mb: float, f1: float) -> None:
    bundle = Bundle.open(BUNDLES / name)
    assert (bundle.manifest.name, bundle.manifest.task) == (name, "tag")
    assert bundle.size_bytes < size_mb * MEGABYTE
    assert bundle.manifest.entities["conll2003_test"].rows == 1_726
    assert bundle.manifest.entities["conll2003_test"].f1 >= f1


@pytest.mark.parametrize("name", ["entities-device", "entities-edge"])
def test_a_tagger_knows_a_person_from_a_place(name: str) -> None:
    text = "Angela Merkel flew from Berlin to Paris on Monday."
    (entry,) = load_model(ModelSettings(source=str(BUNDLES / name))).answer([Request("tag", text)])
    assert isinstance(entry, Scored)
    assert isinstance(entry.answer, Entities)
    found = [(span.type, text[span.start : span.end]) for span in entry.answer.spans]
    assert found == [("PER", "Angela Merkel"), ("LOC", "Berlin"), ("LOC", "Paris")]


TRANSLATORS = ("translate-device", "translate-edge", "translate-cloud")


@pytest.mark.parametrize(
    ("name", "bleu"),
    [("translate-device", 33), ("translate-edge", 35.5), ("translate-cloud", 35.5)],
)
def test_a_translator_is_whole_and_good(name: str, bleu: float) -> None:
    bundle = Bundle.open(BUNDLES / name)
    assert (bundle.manifest.name, bundle.manifest.task) == (name, "generate")
    assert bundle.chats
    assert bundle.manifest.texts["test_2016_flickr"].rows == 1_000
    assert bundle.manifest.texts["test_2016_flickr"].bleu >= bleu


def test_the_translators_are_small_and_each_is_better_on_dev_than_the_one_below() -> None:
    bundles = [Bundle.open(BUNDLES / name) for name in TRANSLATORS]
    assert sum(bundle.size_bytes for bundle in bundles) < 12 * MEGABYTE
    device, edge, cloud = (bundle.manifest.texts["dev"].bleu for bundle in bundles)
    assert device + 1 < edge < cloud - 1


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_translator_translates(name: str) -> None:
    pytest.importorskip("onnxruntime_genai")
    model = load_model(ModelSettings(source=str(BUNDLES / name), runtime="genai"))
    (entry,) = model.answer([Request("generate", "A man is playing a guitar.")])
    assert isinstance(entry, Scored)
    assert to_line(entry.answer) == "Ein Mann spielt Gitarre."
