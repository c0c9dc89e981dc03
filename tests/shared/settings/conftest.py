"""A settings file that holds the least an agent needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.settings_files import LEAST

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "device.yaml"
    path.write_text(LEAST, encoding="utf-8")
    return path
