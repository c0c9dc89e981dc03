"""Tiny bundles and a set for them: a bag of words that knows good from bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from experiments.datasets.sets import LabelledSet, Part
from experiments.evaluation.tier_models import TierModel
from shared.runtimes import ModelSettings
from tests.support.tiny_models import LABELS, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

TIERS = ("device", "edge", "cloud")
TEXTS = ("good film", "bad film", "very good soup", "not good film", "bad bad bad soup", "soup")


def films(rows: int = 30) -> LabelledSet:
    """A set whose texts all differ; about one in six is labelled against its words."""
    texts = tuple(f"{TEXTS[row % len(TEXTS)]} {'s ' * (row // len(TEXTS))}" for row in range(rows))
    labels = tuple(int("good" in text and row % 6 != 3) for row, text in enumerate(texts))
    return LabelledSet("films", texts, labels, LABELS, (Part("films", rows),))


@pytest.fixture(scope="session")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> tuple[TierModel, ...]:
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("bundles")
    for tier in TIERS:
        write_bundle(folder / tier, name=tier)
    return tuple(tier_model(folder / tier) for tier in TIERS)


def tier_model(bundle: Path, **settings: int) -> TierModel:
    model = ModelSettings(source=str(bundle), **settings)  # type: ignore[arg-type] # any setting
    return TierModel(tier=bundle.name, model=model)
