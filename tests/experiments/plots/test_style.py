from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.plots.style import new_figure, save, spread, styled
from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


def a_line() -> Figure:
    with styled():
        figure = new_figure(3, 2)
        figure.add_subplot().plot([1, 2], [3, 4])
    return figure


def test_a_figure_is_saved_as_png_and_svg(tmp_path: Path) -> None:
    png, svg = save(a_line(), tmp_path / "new" / "v1.2")

    assert png == tmp_path / "new" / "v1.2.png"
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()


def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    one, other = save(a_line(), tmp_path / "one"), save(a_line(), tmp_path / "other")

    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_without_matplotlib_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(RuntimeUnavailable, match=r'pip install -e "\.\[report\]"'), styled():
        pass


def test_places_that_are_far_enough_apart_stay() -> None:
    assert spread([0.9, 0.1, 0.5], 0.2, 0.0, 1.0) == [0.9, 0.1, 0.5]


def test_places_at_the_top_give_way_downwards() -> None:
    assert spread([1.0, 1.0, 1.0], 0.25, 0.0, 1.0) == [0.5, 0.75, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_places_keep_order_distance_and_limits(values: list[float]) -> None:
    places = spread(values, 0.1, 0.0, 1.0)

    ordered = sorted(places)
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 1 + 1e-9
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(ordered))
    for one, other in itertools.pairwise(values):
        if one != other:
            assert (one < other) == (places[values.index(one)] < places[values.index(other)])
