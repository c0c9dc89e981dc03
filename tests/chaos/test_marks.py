"""A page keeps everything around what a run replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from chaos.marks import replace

if TYPE_CHECKING:
    from pathlib import Path


def test_what_stands_between_the_marks_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\n")
    replace(page, "x", "new")
    assert page.read_text() == "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n<!-- y: begin -->\n"
    with pytest.raises(click.ClickException, match="no lines <!-- y: begin -->"):
        replace(page, "y", "new")
