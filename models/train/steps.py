"""Run one training step: read what it needs from the output folder, train, measure, save.

Each step's folder holds everything that later steps read, so any step can be run again alone.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from models.train import recipe
from models.train.folder import save
from models.train.measure import Score, measure
from models.train.pool_file import read_pool, write_pool
from models.train.student import HUB_ID, Student, load_base, load_student

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from models.train.corpus import Corpus

POOL_FILE = "pool.tsv.gz"
Numbers = recipe.Draft | recipe.Fit | recipe.Edge | recipe.DeviceRecipe


@dataclass(frozen=True)
class Job:
    """What every step works with; `base` is a folder or hub id, `out` holds a folder a model."""

    corpus: Corpus
    base: str
    out: Path
    seed: int


def run(step: str, job: Job) -> None:
    """Run the step called `step`, one of STEPS. Raises TrainingError if an input is missing."""
    started_s = time.monotonic()
    STEPS[step](job)
    minutes = (time.monotonic() - started_s) / 60
    print(f"{step}: done in {minutes:.1f} minutes", file=sys.stderr, flush=True)


def _draft(job: Job) -> None:
    base = load_base(job.base)
    train = partial(recipe.train_draft, base, job.corpus, recipe.DRAFT, job.seed)
    _make(job, "draft", recipe.DRAFT, train)


def _pool(job: Job) -> None:
    draft = load_student(job.out / "draft")
    pool = recipe.make_pool(draft, job.corpus, recipe.POOL, job.seed)
    write_pool(job.out / POOL_FILE, pool)


def _cloud(job: Job) -> None:
    draft, pool = load_student(job.out / "draft"), read_pool(job.out / POOL_FILE)
    train = partial(recipe.train_cloud, draft, job.corpus, pool, recipe.CLOUD, job.seed)
    _make(job, "cloud", recipe.CLOUD, train)


def _edge(job: Job) -> None:
    cloud, pool = load_student(job.out / "cloud"), read_pool(job.out / POOL_FILE)
    train = partial(recipe.train_edge, cloud, job.corpus, pool, recipe.EDGE, job.seed)
    _make(job, "edge", recipe.EDGE, train)


def _device(job: Job) -> None:
    draft, pool = load_student(job.out / "draft"), read_pool(job.out / POOL_FILE)
    train = partial(recipe.train_device, draft, job.corpus, pool, recipe.DEVICE, job.seed)
    _make(job, "device", recipe.DEVICE, train)


STEPS: dict[str, Callable[[Job], None]] = {
    "draft": _draft,
    "pool": _pool,
    "cloud": _cloud,
    "edge": _edge,
    "device": _device,
}


def _make(job: Job, name: str, numbers: Numbers, train: Callable[[], Student]) -> None:
    started_s = time.monotonic()
    student = train()
    minutes = (time.monotonic() - started_s) / 60
    scores = {n: measure(student, rows, f"{name}, {n}") for n, rows in job.corpus.dev.items()}
    save(student, job.out / name, _record(job, numbers, minutes, scores))
    for data, score in scores.items():
        print(
            f"{name}: {score.accuracy:.4f} of {score.rows} dev rows of {data} right, "
            f"AUROC of confidence {score.confidence_auroc:.3f}",
            flush=True,
        )


def _record(
    job: Job, numbers: Numbers, minutes: float, scores: dict[str, Score]
) -> dict[str, object]:
    return {
        "seed": job.seed,
        "base": HUB_ID,
        "data_rows": job.corpus.sources,
        "numbers": asdict(numbers),
        "wall_minutes": round(minutes, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dev_fp32": {data: asdict(score) for data, score in scores.items()},
    }
