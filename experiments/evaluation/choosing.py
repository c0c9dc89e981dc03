"""A language model as a classifier that was never trained: how often right, and does it know when.

::

    python -m experiments.evaluation.choosing runs/smollm2 --data DIR

Each prompt is put among the labels of its set by scoring every label as the model's answer
(``classify`` with the option ``labels``). Rows are drawn, the same for every model.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import numpy as np
from rich.console import Console

from experiments.datasets.bundled import FILE
from experiments.datasets.read import DATA_VARIABLE, read_set
from experiments.datasets.source import Source
from experiments.evaluation.answer_store import open_store, prompt_key
from experiments.evaluation.answering import answer_missing
from experiments.evaluation.matrix import answering_progress
from experiments.evaluation.statistics import accuracy, auroc, interval_of
from experiments.evaluation.tier_models import read_facts
from experiments.grid import Grid, print_grid
from shared.cli import clear_errors
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle
from shared.tasks import Request
from shared.tasks.classify import Label
from shared.telemetry.intervals import Interval, wilson

if TYPE_CHECKING:
    from experiments.datasets.sets import LabelledSet
    from experiments.evaluation.answer_store import AnswerStore

_DRAWS: Final = 1_000
_SENTIMENT: Final = ("negative", "positive")
_EMOTIONS: Final = ("sadness", "joy", "love", "anger", "fear", "surprise")
SETS: Final = (
    (Source(name="SST-2, dev", place="sst2/dev.tsv.gz"), _SENTIMENT),
    (Source(name="emotion, test", place="emotion/test.tsv.gz"), _EMOTIONS),
    (Source(name="the demo's prompts", place=str(FILE)), _SENTIMENT),
)


class Chosen(NamedTuple):
    """What a model chose on one set: whether that was right, and how sure it was; shape (n,)."""

    right: np.ndarray
    confidence: np.ndarray


@click.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False))
@click.option("--data", help=f"Folder of the public sets; {DATA_VARIABLE} if not given.")
@click.option("--rows", type=click.IntRange(min=10), default=150, show_default=True)
@click.option("--cache", default="runs/choices", show_default=True, help="Keeps the answers.")
def main(bundle: str, data: str | None, rows: int, cache: str) -> None:
    """Print accuracy and AUROC of a bundle that writes, on three sets."""
    console = Console()
    with clear_errors():
        runtime = Bundle.open(bundle).manifest.runtime
        settings = ModelSettings(source=bundle, runtime=runtime)
        environ = dict(os.environ) | ({DATA_VARIABLE: data} if data else {})
        sources = [(_drawn(source, rows), labels) for source, labels in SETS]
        sets = [read_set(source, labels, environ) for source, labels in sources]
        lines = [_line(each, choose(each, settings, Path(cache), console)) for each in sets]
    columns = ["set", "labels", "prompts", "accuracy", "AUROC of the confidence"]
    print_grid(console, Grid("Chosen among labels, untrained", columns, lines))


def choose(data: LabelledSet, settings: ModelSettings, cache: Path, console: Console) -> Chosen:
    """Return what a model that writes chooses among the set's labels; answers are kept.

    Raises ``BundleError``, or ``DataError`` naming the row on which the model fails.
    """
    options = {"labels": list(data.label_names)}
    asked = [Request("classify", text, options) for text in data.texts]
    facts = read_facts(settings)
    with (
        answering_progress(console) as progress,
        open_store(cache, facts.fingerprint) as store,
    ):
        bar = progress.add_task(data.name, total=len({*data.texts}))
        answer_missing(data.name, asked, facts, store, partial(progress.advance, bar))
        return _chosen(data, asked, store)


def _chosen(data: LabelledSet, asked: list[Request], store: AnswerStore) -> Chosen:
    kept = [store.answers[prompt_key(each.content, each.options)] for each in asked]
    true = [Label(data.label_names[label]) for label in data.labels]
    right = [each.answer == wanted for each, wanted in zip(kept, true, strict=True)]
    return Chosen(np.array(right, bool), np.array([each.confidence for each in kept]))


def _drawn(source: Source, rows: int) -> Source:
    return Source(name=source.name, place=source.place, rows=rows, pick="drawn")


def _line(data: LabelledSet, chosen: Chosen) -> list[str]:
    count = len(chosen.right)
    share = accuracy(chosen.right)
    sure = auroc(chosen.confidence, chosen.right)
    return [
        data.name,
        f"{len(data.label_names)}",
        f"{count:,}",
        _with(share, wilson(int(chosen.right.sum()), count)),
        _with(sure, _auroc_interval(chosen)),
    ]


def _auroc_interval(chosen: Chosen) -> Interval:
    """Return the 95 % interval, by a bootstrap over the prompts."""
    count = len(chosen.right)
    draws = np.random.default_rng(0).integers(count, size=(_DRAWS, count))
    areas = np.array([auroc(chosen.confidence[rows], chosen.right[rows]) for rows in draws])
    return interval_of(areas[np.isfinite(areas)])


def _with(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


if __name__ == "__main__":
    main()
