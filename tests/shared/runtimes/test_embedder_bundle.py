from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.errors import BundleError
from shared.runtimes.embedder_bundle import EmbedderBundle
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_a_classifier_is_no_embedder(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    write_bundle(tmp_path / "bag")

    with pytest.raises(BundleError, match="is a bundle for classify, not for embed"):
        EmbedderBundle.open(tmp_path / "bag")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no such folder of an embedder"):
        EmbedderBundle.open(tmp_path / "nowhere")
