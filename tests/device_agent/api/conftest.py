"""Devices that are asked, over every wire and on the memory bus alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.askers import Asker, asked_device
from tests.support.cascades import Cascade, cascade
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.wires import Wire


@pytest.fixture
async def tiers(wire: Wire) -> AsyncIterator[Cascade]:
    async with cascade(wire) as running:
        yield running


@pytest.fixture
async def local() -> AsyncIterator[tuple[Cascade, Asker]]:
    """A device and an asker on the memory bus."""
    wire = MemoryWire()
    async with cascade(wire) as tiers:
        await asked_device(tiers)
        yield tiers, await Asker(wire).start()
