"""An edge agent on the memory bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bench import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = await Bench().start()
    yield made
    await made.close()
