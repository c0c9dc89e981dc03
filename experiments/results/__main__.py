"""Writes ``docs/results.md`` and its pictures: every number on that page comes from here.

``python -m experiments.results --data DIR`` (``make results DATA=DIR``). Runs the studies in
``configs/experiments``, compares, and says what held and what did not.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np
from rich.console import Console

from experiments.datasets.read import DATA_VARIABLE
from experiments.evaluation.evaluate import SetResult, measure, run_study
from experiments.evaluation.matrix import fill_matrix
from experiments.evaluation.study import Study
from experiments.evaluation.tier_models import TierModel
from experiments.plots.study import draw_study
from experiments.results import agreement, ours, paper
from experiments.results.domains import domains
from experiments.results.exchanges import exchanges
from experiments.results.generation import generation
from experiments.results.starts import starts
from shared.cli import clear_errors
from shared.runtimes import ModelSettings
from shared.settings.file import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.results.text import Rows, Runs

ROOT: Final = Path(__file__).parents[2]
STUDIES: Final = ROOT / "configs" / "experiments"
PAGE: Final = ROOT / "docs" / "results.md"
_CARD_OF: Final = "sst2"
_BEFORE_ON: Final = ("sst2", "rotten_tomatoes")
_STUDIES: Final = (
    "main",
    "wide-area",
    "window",
    "window-by-label",
    "window-shift",
    "smaller-cloud",
    "quality",
)
_NOTE: Final = "<!-- Written by `make results DATA=DIR`; change the code, not this page. -->\n"


@click.command(help="Run the studies of configs/experiments and write docs/results.md.")
@click.option("--data", help=f"Folder of the public sets; {DATA_VARIABLE} if not given.")
@click.option("--cache", default="runs/answers", show_default=True, help="The models' answers.")
@click.option("--before", help="Folder of the trained models, as `make bundles` leaves them.")
@click.option("--out", default=str(PAGE), help="Page to write; pictures go beside it.")
def main(data: str | None, cache: str, before: str | None, out: str) -> None:
    """Run, compare, write."""
    console = Console(stderr=True)
    with clear_errors():
        if data:
            os.environ[DATA_VARIABLE] = data
        page = Path(out)
        pictures = page.parent / page.stem
        runs = {name: _run(name, Path(cache), console) for name in _STUDIES}
        if before:
            runs["main"] = _with_before(*runs["main"], Path(before), Path(cache), console)
        main_study, results = runs["main"]
        rows = [row for result in results for row in measure(result, main_study.weights)]
        _draw(results, rows, pictures)
        page.write_text(_text(runs, rows, pictures, Path(cache)), encoding="utf-8")
    console.print(f"Written: {page}, pictures in {pictures}")


def _run(name: str, cache: Path, console: Console) -> tuple[Study, list[SetResult]]:
    study = load(Study, STUDIES / f"{name}.yaml")
    return study, run_study(study, cache, console)


def _with_before(
    study: Study, results: list[SetResult], folder: Path, cache: Path, console: Console
) -> tuple[Study, list[SetResult]]:
    """Add the answers of the models as they were trained, on the sets of single sentences."""
    trained = tuple(
        TierModel(
            tier=tier.tier,
            model=ModelSettings(source=str(folder / tier.tier), runtime="transformers"),
        )
        for tier in study.tiers
    )
    return study, [
        result._replace(before=fill_matrix(result.matrix.data, trained, cache, console))
        if result.matrix.data.name in _BEFORE_ON
        else result
        for result in results
    ]


def _text(runs: Runs, rows: Rows, folder: Path, cache: Path) -> str:
    pictures = folder.name
    study, results = runs["main"]
    data = Path(os.environ.get(DATA_VARIABLE, "."))
    parts: list[Callable[[], str]] = [
        lambda: _head(results),
        lambda: paper.models(results, pictures),
        lambda: agreement.word_pairs(study, results),
        lambda: paper.main(results, rows, pictures),
        lambda: paper.claims(results, rows),
        lambda: ours.skip(results, *runs["wide-area"]),
        lambda: agreement.agreement(results, *runs["wide-area"]),
        lambda: domains(study, results, data, cache),
        lambda: agreement.fused(results, *runs["wide-area"]),
        lambda: ours.budget(results),
        lambda: ours.quality(runs),
        lambda: exchanges(*runs["quality"], cache),
        lambda: paper.windows(runs, pictures),
        lambda: starts(*runs["main"]),
        lambda: paper.smaller(runs),
        lambda: generation(load(Study, STUDIES / "translate.yaml"), cache, folder),
    ]
    return "\n".join(_in_parallel(parts))


def _in_parallel(parts: Sequence[Callable[[], str]]) -> list[str]:
    """Return what every part says, in order; each in a process forked from this one.

    The studies are gigabytes, which a fork shares and does not copy.
    """
    _PARTS[:] = parts
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        return list(pool.map(_say, range(len(parts))))


_PARTS: Final[list[Callable[[], str]]] = []
"""What a forked process finds."""


def _say(number: int) -> str:
    return _PARTS[number]()


def _head(results: Sequence[SetResult]) -> str:
    sets = ", ".join(f"{r.matrix.data.name} ({len(r.matrix.data):,})" for r in results)
    return (
        f"{_NOTE}# Results\n\n"
        "What each policy costs and buys, on the three committed bundles and five public test "
        f"sets: {sets} prompts. The models saw only the training rows of these sets. Every "
        "policy runs through the code that agents run, one prompt after another, on five shuffled "
        "orders unless said otherwise; what a policy learns it learns on the way. IMDB reviews (4,000 "
        "drawn of the test rows) are long: the device reads their first 256 tokens, edge and cloud their last 512. Intervals are 95 % percentile bootstraps over "
        "prompts.\n\n"
        "`make results DATA=DIR` writes this page; DIR is the folder of the sets. The comparison with "
        "the models before quantising needs those, as `make bundles` leaves them: "
        "`make results DATA=DIR BEFORE=runs/models`.\n"
    )


def _draw(results: Sequence[SetResult], rows: Rows, folder: Path) -> None:
    """Draw all pictures of the main study, and keep those that the page shows."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {f"{result.matrix.data.name}-accuracy-burden" for result in results}
    kept |= {f"{_CARD_OF}-{kind}" for kind in ("report-card", "thresholds", "shares")}
    for path in draw_study(results, rows, folder):
        if path.stem not in kept:
            path.unlink()


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
