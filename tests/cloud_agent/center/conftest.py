"""A site for a test, whose wire is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shipping_sites import ShippingSite, opened_site
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ShippingSite]:
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as opened:
        yield opened
    await wire.close()
