"""A plan to change and to run, for all tests of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.planners import Planner

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models' answers are kept, so that they are asked once."""
    return tmp_path_factory.mktemp("answers")


@pytest.fixture
def planner(tmp_path: Path, answers: Path) -> Planner:
    return Planner(tmp_path, answers)
