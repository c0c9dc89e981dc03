"""Weights rounded anew make a sound bundle, the nearer its original the more bits they have."""

from pathlib import Path

import pytest

import models
from models.pack.coarser import coarsen
from shared.errors import BundleError
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.tasks.classify import requests

DEVICE = Path(models.__file__).parent / "bundles" / "sentiment-device"
TEXTS = [
    "a moving and funny film",
    "dull from the first minute to the last",
    "the plot is thin, the cast is not",
    "i would not give it away",
]


def probabilities(folder: Path) -> list[float]:
    model = load_model(ModelSettings(source=str(folder), batch_prompts=1))
    try:
        scored = [model.answer([one])[0] for one in requests(TEXTS)]
        return [entry.probabilities[1] for entry in scored if not isinstance(entry, Exception)]
    finally:
        model.close()


def test_coarser_weights_say_nearly_the_same_and_the_nearer_the_more_bits(tmp_path: Path) -> None:
    original = probabilities(DEVICE)
    away = []
    for bits in (6, 2):
        bundle = coarsen(Bundle.open(DEVICE), tmp_path / str(bits), bits=bits)
        said = probabilities(bundle.folder)
        away.append(sum(abs(a - b) for a, b in zip(original, said, strict=True)) / len(TEXTS))

    assert 0.0 < away[0] < 0.1
    assert away[1] > 2 * away[0]


def test_the_same_bits_give_the_same_bytes_and_another_bundle_than_before(tmp_path: Path) -> None:
    before = Bundle.open(DEVICE)

    one, other = (coarsen(before, tmp_path / name, bits=4) for name in ("one", "other"))

    assert one.digest == other.digest != before.digest
    assert one.manifest.version == f"{before.manifest.version}-4bit"
    assert (one.second_opinion() is None) == (before.second_opinion() is None)


@pytest.mark.parametrize("bits", [1, 9])
def test_weights_that_cannot_be_rounded_so_are_refused_in_a_sentence(
    tmp_path: Path, bits: int
) -> None:
    with pytest.raises(BundleError, match=f"to 2 to 8 bits, not int8 to {bits}"):
        coarsen(Bundle.open(DEVICE), tmp_path / "out", bits=bits)

    assert not (tmp_path / "out").exists()
