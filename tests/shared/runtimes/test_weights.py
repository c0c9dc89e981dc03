"""One digest for the weights of a model, whoever computes it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from shared.errors import BundleError
from shared.runtimes.weights import weights_digest

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_that_of_the_files_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "model-00002.safetensors").write_bytes(b"second")
    (tmp_path / "model-00001.safetensors").write_bytes(b"first")
    (tmp_path / "pytorch_model.bin").write_bytes(b"an older form of them")

    assert weights_digest(str(tmp_path)) == hashlib.sha256(b"firstsecond").hexdigest()


def test_a_digest_is_its_own(tmp_path: Path) -> None:
    assert weights_digest("a" * 64) == "a" * 64


def test_a_folder_without_weights_and_what_is_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="has no weights"):
        weights_digest(str(tmp_path))
    for source in (str(tmp_path / "nowhere"), "nobody/nothing-of-the-kind"):
        with pytest.raises(BundleError, match="no folder here"):
            weights_digest(source)
