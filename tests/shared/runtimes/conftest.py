"""One tiny classifier, as a Hugging Face folder and packed as a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest

from shared.runtimes import Model, ModelSettings, load_model
from tests.support.tiny_models import write_classifier

if TYPE_CHECKING:
    from pathlib import Path

Load: TypeAlias = Callable[..., Model]
"""Load the tiny model with some settings besides those that say which it is."""


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return write_classifier(tmp_path_factory.mktemp("tiny") / "classifier")


@pytest.fixture(scope="session")
def packed(classifier: Path) -> Path:
    pytest.importorskip("onnxscript")
    from models.pack import pack  # noqa: PLC0415 - optional

    return pack(str(classifier), classifier.parent / "bundle", name="tiny", quantise=False).folder


@pytest.fixture(params=["onnx", "transformers"])
def load(request: pytest.FixtureRequest) -> Iterator[Load]:
    models: list[Model] = []
    fixture = "packed" if request.param == "onnx" else "classifier"
    source = str(request.getfixturevalue(fixture))

    def load_one(**settings: object) -> Model:
        keys: dict[str, object] = {"source": source, "runtime": request.param, **settings}
        models.append(load_model(ModelSettings(**keys)))  # type: ignore[arg-type] # any setting
        return models[-1]

    yield load_one
    for model in models:
        model.close()
