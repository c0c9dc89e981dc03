"""What a model costs is fitted by least squares; what is missing for that is said at once."""

from __future__ import annotations

import sys

import pytest

from experiments.profiling.models import Bench
from shared.errors import RuntimeUnavailable


def test_without_scipy_it_is_said_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)

    with pytest.raises(RuntimeUnavailable, match=r'pip install -e "\.\[measure\]"'):
        Bench([], ["a text"])
