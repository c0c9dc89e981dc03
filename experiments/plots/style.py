"""How every picture looks: one sheet of settings, one palette, labels beside what they name.

Colours are those of Okabe and Ito, which people with any colour vision tell apart. Figures are made
without pyplot, so nothing is shared between them and no display is needed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.patheffects import AbstractPathEffect
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

INK: Final = "#222222"
MUTED: Final = "#767676"
GRID: Final = "#e6e6e6"
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6f4e37")
TIER_COLOURS: Final = ("#009E73", "#0072B2", "#D55E00", "#CC79A7", "#E69F00")
_DPI: Final = 160
_SHEET: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "recserve",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw with our settings; raises ``RuntimeUnavailable`` when matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"they need {error.name}, which is not installed here; "
            'pip install -e ".[report]" in a checkout of this project'
        ) from error
    # Its stubs want each key as a literal, and a checked sheet of ours is no such thing.
    with mpl.rc_context(_SHEET):  # type: ignore[arg-type, unused-ignore]
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure of a size in inches; call it under ``styled``."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy

    return Figure(figsize=(width_in, height_in), layout="constrained")


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg`` and return both paths; equal figures are equal files."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    with styled():
        figure.savefig(paths[0], dpi=_DPI, facecolor="white")
        figure.savefig(paths[1], facecolor="white", metadata={"Date": None})
    return paths


def halo() -> list[AbstractPathEffect]:
    """Return what puts a white rim around a label, so that it is read over lines."""
    from matplotlib.patheffects import withStroke  # noqa: PLC0415 - heavy

    return [withStroke(linewidth=3, foreground="white")]


def percent(axis: Axis) -> None:
    """Write shares on an axis as percentages, with as many digits as their steps need."""
    axis.set_major_formatter(lambda share, _place: f"{round(100 * share, 6):g}%")


def thin_out(figure: Figure, labels: Sequence[Text], fixed: Sequence[Text] = ()) -> None:
    """Remove labels that would lie over an earlier one or over one that is ``fixed``."""
    figure.draw_without_rendering()
    taken = [_box(label) for label in fixed]
    for label in labels:
        box = _box(label)
        if any(box.overlaps(other) for other in taken):
            label.remove()
        else:
            taken.append(box)


def headline(axes: Axes, title: str, note: str = "") -> None:
    """Write what the picture shows above it, and in grey how to read it."""
    axes.set_title(title, loc="left", fontweight="bold", pad=24 if note else 8)
    if note:
        axes.annotate(
            note,
            (0, 1),
            (0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            color=MUTED,
            fontsize=9,
        )


def label_ends(
    axes: Axes, ends: Sequence[tuple[float, float, str, str]], *, gap_share: float = 0.06
) -> None:
    """Name lines in a column right of the axes: (x and y of the end, name, colour).

    Names keep the order of the ends and never lie over another; thin lines lead to them. Call it
    when the limits of the axes stand.
    """
    low, high = axes.get_ylim()
    places = spread([y for _, y, _, _ in ends], (high - low) * gap_share, low, high)
    for (x, y, name, colour), place in zip(ends, places, strict=True):
        axes.annotate(
            name,
            (x, y),
            (1.025, place),
            textcoords=("axes fraction", "data"),
            annotation_clip=False,
            color=colour,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.8,
                "alpha": 0.5,
                "shrinkA": 2,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return the values moved apart to ``gap`` where closer, in their order, as little as needed.

    They stay between ``low`` and ``high`` where there is room for all of them.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    places = list(values)
    floor = low
    for index in order:
        places[index] = floor = max(places[index], floor)
        floor += gap
    ceiling = high
    for index in reversed(order):
        places[index] = ceiling = min(places[index], ceiling)
        ceiling -= gap
    return places


def _box(label: Text) -> Bbox:
    """Return where the words of a label stand, without a line that may lead to them."""
    from matplotlib.text import Text  # noqa: PLC0415 - heavy

    return Text.get_window_extent(label)
