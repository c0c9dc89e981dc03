"""What a model that was told the labels of a set chooses is held against the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("onnxruntime_genai")

from experiments.datasets.sets import LabelledSet, Part
from experiments.evaluation.choosing import choose
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Request
from shared.tasks.classify import Label

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ("A dog runs in the snow.", "Two men sit on a bench.", "A dog runs in the snow.")
NAMES = ("Ein Hund rennt im Schnee.", "Zwei Frauen kochen.")
SETTINGS = ModelSettings(source="models/bundles/translate-device", runtime="genai")


def test_choices_are_the_models_own_and_asked_for_once(tmp_path: Path) -> None:
    """By a translator, of two translations: the dog is the dog, whatever the set says."""
    data = LabelledSet("dogs", TEXTS, (0, 0, 1), NAMES, (Part("dogs", 3),))

    chosen = choose(data, SETTINGS, tmp_path, Console(quiet=True))

    model = load_model(SETTINGS)
    said = model.answer([Request("classify", text, {"labels": list(NAMES)}) for text in TEXTS])
    model.close()
    answers = [(each.answer, each.confidence) for each in said]  # type: ignore[union-attr]  # none fails
    assert chosen.right.tolist() == [
        answer == Label(NAMES[label])
        for (answer, _), label in zip(answers, data.labels, strict=True)
    ]
    assert chosen.right.tolist()[::2] == [True, False]
    assert np.allclose(chosen.confidence, [sure for _, sure in answers], atol=0.05)
    again = choose(data, SETTINGS, tmp_path, Console(quiet=True))
    assert (again.confidence == chosen.confidence).all(), "kept, not asked for again"
