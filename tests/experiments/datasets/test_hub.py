from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

import pytest

from experiments.datasets.read import read_set
from experiments.datasets.source import Source
from shared.errors import DataError, RuntimeUnavailable

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("negative", "positive")
INSTALLED = importlib.util.find_spec("datasets") is not None


@pytest.mark.skipif(INSTALLED, reason="datasets is installed")
def test_without_the_library_the_error_says_what_to_install() -> None:
    with pytest.raises(RuntimeUnavailable, match=r"hub:imdb@test: .* pip install datasets"):
        read_set(Source(place="hub:imdb@test"), NAMES)


@pytest.mark.skipif(not INSTALLED, reason="datasets is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_set_of_the_library_is_read_by_column(tmp_path: Path) -> None:
    rows = [{"sentence": "good", "sentiment": 1}, {"sentence": "bad", "sentiment": 0}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = f"hub:{tmp_path}@test"

    data = read_set(Source(place=place, text="sentence", label="sentiment"), NAMES)

    assert data.texts == ("good", "bad")
    assert data.labels == (1, 0)
    with pytest.raises(DataError, match="has no column 'text', only 'sentence, sentiment'"):
        read_set(Source(place=place), NAMES)


@pytest.mark.skipif(not INSTALLED, reason="datasets is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hub:.*none@test: cannot be loaded"):
        read_set(Source(place=f"hub:{tmp_path}/none@test"), NAMES)
