from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.embedders import pack_minilm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="package")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_minilm(tmp_path_factory.mktemp("minilm") / "minilm")
