"""One page of HTML that shows a run, or two beside each other: self-contained, nothing is fetched.

Pictures stand in it as SVG. It needs no script and reads on paper, too.
"""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.plots.style import styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from experiments.grid import Grid
    from experiments.report.figures import Picture

_STYLE: Final = Path(__file__).with_name("page.css")


class KeyFigure(NamedTuple):
    """A figure that stands out: its value, what it is, and whether it is bad news."""

    value: str
    what: str
    bad: bool = False


def write_page(
    title: str,
    subtitle: str,
    *,
    cards: Sequence[KeyFigure] = (),
    warnings: Sequence[str] = (),
    grids: Sequence[Grid] = (),
    pictures: Sequence[Picture] = (),
) -> str:
    """Return the page."""
    style = _STYLE.read_text(encoding="utf-8")
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>",
        f'<h1>{escape(title)}</h1>\n<p class="sub">{escape(subtitle)}</p>',
        *(f'<p class="warning">{escape(warning)}</p>' for warning in warnings),
        '<div class="cards">',
        *(_card(card) for card in cards),
        "</div>",
        *(_grid(grid) for grid in grids[:1]),
        '<div class="pictures">',
        *(_figure(picture) for picture in pictures),
        "</div>",
        *(_grid(grid) for grid in grids[1:]),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _card(card: KeyFigure) -> str:
    kind = "card bad" if card.bad else "card"
    return f'<div class="{kind}"><b>{escape(card.value)}</b><span>{escape(card.what)}</span></div>'


def _grid(grid: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in grid.columns)
    rows = "\n".join(
        ('<tr class="noticed">' if place in grid.noticed else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for place, row in enumerate(grid.rows)
    )
    return (
        f'<h2>{escape(grid.title)}</h2>\n<div class="scrolls">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )


def _figure(picture: Picture) -> str:
    svg = to_svg(picture.figure, picture.name)
    said = escape(picture.said, quote=True)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{said}" ', 1)
    return f'<figure id="{picture.name}">\n{svg}</figure>'


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element whose ids all begin with its name, so that none collide."""
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
