"""``recserve evaluate``: what each policy, model and tier costs and buys, before deploying."""

from __future__ import annotations

import csv
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec
from rich.console import Console

from experiments.datasets.read import DATA_VARIABLE
from experiments.datasets.source import parse_source
from experiments.evaluation.evaluate import cards, measure, run_study
from experiments.evaluation.study import Study, spell
from experiments.evaluation.study_tables import tables
from experiments.evaluation.text_study import measure_texts, run_text_study, text_cards
from experiments.grid import print_grid
from experiments.plots.study import draw_study
from experiments.plots.texts import draw_texts
from shared.cascade.policies import PolicySettings
from shared.cli import clear_errors
from shared.errors import RuntimeUnavailable, SettingsError
from shared.settings.file import convert, load
from shared.settings.typed_texts import types_at, types_of, wants_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@click.command("evaluate", help="Compare policies on labelled sets, without deploying anything.")
@click.argument("study", required=False, type=click.Path(dir_okay=False))
@click.option("--set", "sets", multiple=True, metavar="[NAME=]FILE", help="A labelled set.")
@click.option(
    "--tier", "tiers", multiple=True, metavar="NAME=BUNDLE", help="A tier, the lowest first."
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="'KIND KEY=V,V ...'",
    help="A policy for every tier below the top, with values to try: 'quantile beta=0.1,0.3'.",
)
@click.option("--data", help=f"Folder of the sets; {DATA_VARIABLE} if not given.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to.")
@click.option(
    "--cache",
    default="runs/answers",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps the models' answers.",
)
def command(
    study: str | None,
    sets: tuple[str, ...],
    tiers: tuple[str, ...],
    policies: tuple[str, ...],
    data: str | None,
    out: Path | None,
    cache: Path,
) -> None:
    """Take a study from its file, or from the flags."""
    console = Console()
    with clear_errors():
        if data:
            os.environ[DATA_VARIABLE] = data
        wanted = load(Study, study) if study else _from_flags(sets, tiers, policies)
        measured = (
            _texts(wanted, cache, console)
            if wanted.task == "generate"
            else _labels(wanted, cache, console)
        )
        rows = measured.rows
        report = {
            "study": msgspec.to_builtins(wanted),
            "cards": measured.cards,
            "runs": rows,
        }
        folder = out or Path("runs/evaluate") / wanted.name
        _write(folder, report, rows)
        pictures = _draw(folder, measured, console)
    for name in dict.fromkeys(row["set"] for row in rows):
        for grid in tables(wanted.task, name, measured.cards, rows):
            print_grid(console, grid)
    console.print(f"Everything as JSON, CSV and {pictures} pictures: {folder}")


class _Measured(NamedTuple):
    """What a study found: figures of every run, report cards, and how to draw them."""

    rows: list[dict[str, Any]]
    cards: list[dict[str, Any]]
    draw: Callable[[Path], list[Path]]


def _labels(study: Study, cache: Path, console: Console) -> _Measured:
    results = run_study(study, cache, console)
    rows = [row for result in results for row in measure(result, study.weights)]
    found = [card for result in results for card in cards(result)]
    return _Measured(rows, found, partial(draw_study, results, rows))


def _texts(study: Study, cache: Path, console: Console) -> _Measured:
    results = run_text_study(study, cache, console)
    rows = [row for result in results for row in measure_texts(result, study.weights)]
    found = [card for result in results for card in text_cards(result)]
    return _Measured(rows, found, partial(draw_texts, results, rows))


def _from_flags(sets: Sequence[str], tiers: Sequence[str], policies: Sequence[str]) -> Study:
    """Make a study of what was given on the command line."""
    if not (sets and tiers and policies):
        raise SettingsError("name a study's file, or at least one --set, two --tier, one --policy")
    tree = {
        "name": "command-line",
        "sets": [msgspec.to_builtins(parse_source(text)) for text in sets],
        "tiers": [_tier(text) for text in tiers],
        "policies": [_policy(text, len(tiers) - 1) for text in policies],
    }
    return convert(Study, tree, "recserve evaluate")


def _tier(text: str) -> dict[str, Any]:
    name, separator, source = text.partition("=")
    if not separator:
        raise SettingsError(f"--tier {text!r} is not of the form name=bundle")
    return {"tier": name, "model": {"source": source}}


def _policy(text: str, below_top: int) -> dict[str, Any]:
    kind, *parameters = text.split()
    grid: dict[str, Any] = {}
    for parameter in parameters:
        key, separator, values = parameter.partition("=")
        if not separator:
            raise SettingsError(f"--policy {text!r}: {parameter!r} is not of the form key=value")
        is_list = wants_keys(types_at(types_of(PolicySettings), key))
        grid[key] = [_list(text, key, v) if is_list else v for v in values.split(",")]
    tier = {"kind": kind} | {key: f"${key}" for key in grid}
    return {"name": kind, "tiers": [tier] * below_top, "grid": grid}


def _list(text: str, key: str, value: str) -> list[str]:
    if ":" not in value:
        raise SettingsError(
            f"--policy {text!r}: {key} takes a list, which is written {key}=1:11 here "
            f"({key}=1:11,1:20 tries two); in a study's YAML it is [1, 11]"
        )
    return [part for part in value.split(":") if part]


def _write(folder: Path, report: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (folder / "report.json").write_bytes(text + b"\n")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / "runs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(
            {key: spell(value) if isinstance(value, tuple) else value for key, value in row.items()}
            for row in rows
        )


def _draw(folder: Path, measured: _Measured, console: Console) -> int:
    """Draw the pictures if the library for it is installed; return how many."""
    try:
        return len(measured.draw(folder)) // 2
    except RuntimeUnavailable as error:
        console.print(f"No pictures: {error}")
        return 0
