"""Measured models in four panels: what their size, time and quality have to do with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.plots.style import PALETTE, halo, new_figure, styled, thin_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from cloud_agent.center.catalogue.file import CatalogueFile, MeasuredModel, MeasuredOn

_MIB: Final = 1 << 20


class _Panel(NamedTuple):
    across: str
    up: str
    x: Callable[[MeasuredModel, MeasuredOn], float]
    y: Callable[[MeasuredModel, MeasuredOn], float]


def draw_catalogue(file: CatalogueFile) -> Figure:
    """Draw a point for each bundle on each class of node; colours are classes."""
    classes = file.classes()
    with styled():
        figure = new_figure(9.5, 6.8)
        figure.suptitle("What bundles cost, and what they are good for", x=0.02, ha="left")
        for axes, panel in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
            names: list[tuple[str, Text]] = []
            for number, node_class in enumerate(classes):
                for model, on in _of(file, node_class):
                    point = panel.x(model, on), panel.y(model, on)
                    colour = PALETTE[number % len(PALETTE)]
                    label = node_class if not names or names[-1][0] != node_class else None
                    axes.plot(*point, "o", color=colour, markersize=6, label=label)
                    text = axes.annotate(
                        model.name, point, (5, 4), textcoords="offset points", fontsize=8,
                        path_effects=halo(),
                    )  # fmt: skip
                    names.append((node_class, text))
            axes.set_xlabel(panel.across)
            axes.set_ylabel(panel.up)
            axes.margins(x=0.4, y=0.2)
            axes.set_xlim(left=0)
            thin_out(figure, [text for _, text in names])
        if len(classes) > 1:
            figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def _of(file: CatalogueFile, node_class: str) -> Iterator[tuple[MeasuredModel, MeasuredOn]]:
    return ((model, model.on[node_class]) for model in file.models if node_class in model.on)


def _size_mib(model: MeasuredModel, on: MeasuredOn) -> float:
    del on
    return model.size_bytes / _MIB


def _grade(model: MeasuredModel, on: MeasuredOn) -> float:
    """Return the mean over kinds; NaN, which is not drawn, where nothing is known."""
    del on
    grades = [each.grade for each in model.grades.values()]
    return sum(grades) / len(grades) if grades else float("nan")


def _prompt_ms(model: MeasuredModel, on: MeasuredOn) -> float:
    del model
    return 1000 * on.prompt_s


_PANELS: Final = (
    _Panel("size, MiB", "load time, s", _size_mib, lambda _, on: on.load_s),
    _Panel("size, MiB", "one prompt, ms", _size_mib, _prompt_ms),
    _Panel("size, MiB", "memory, MiB", _size_mib, lambda _, on: on.memory_bytes / _MIB),
    _Panel("one prompt, ms", "mean grade", _prompt_ms, _grade),
)
