"""Three tiers on each wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cascades import Cascade, cascade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.wires import Wire


@pytest.fixture
async def tiers(wire: Wire) -> AsyncIterator[Cascade]:
    async with cascade(wire) as running:
        yield running
