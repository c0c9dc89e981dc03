"""What draws in the tests of rosters."""

from __future__ import annotations

import random

import pytest


@pytest.fixture
def draw() -> random.Random:
    return random.Random(5)
