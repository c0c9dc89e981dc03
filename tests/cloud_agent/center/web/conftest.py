"""A page for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shown_pages import ShownPage, showing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def shown(tmp_path: Path) -> AsyncIterator[ShownPage]:
    async with showing(tmp_path) as made:
        yield made
