"""The bundles that come with the project are whole, small and as good as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

import models
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.tasks.classify import Label, requests

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
