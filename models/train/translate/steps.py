"""Run one training step: read what it needs from the output folder, train, measure, save."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from tokenizers import Tokenizer

from models.train.errors import TrainingError
from models.train.translate.captions import FOLDER, CaptionPair, read_captions, write_pairs
from models.train.translate.decode import measure, translate
from models.train.translate.fit import fit
from models.train.translate.net import build, load, save
from models.train.translate.pieces import encode_pairs, train_tokenizer
from models.train.translate.recipe import PIECES, RECIPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

VOCABULARY: Final = "tokenizer.json"
DISTILLED: Final = "distilled.tsv.gz"
_MEASURED_EPOCHS: Final = 3


@dataclass(frozen=True)
class TranslatorJob:
    """What every step works with; `out` holds a folder a model."""

    train: Sequence[CaptionPair]
    dev: Sequence[CaptionPair]
    out: Path
    seed: int


def make_vocabulary(job: TranslatorJob) -> None:
    """Learn the pieces of both languages."""
    job.out.mkdir(parents=True, exist_ok=True)
    train_tokenizer(job.train, PIECES).save(str(job.out / VOCABULARY))


def make_distilled(job: TranslatorJob) -> None:
    """Let the cloud's model translate the training captions."""
    sources = [pair.source for pair in job.train]
    answers = translate(load(job.out / "cloud"), sources, "distilled")
    both = zip(sources, answers, strict=True)
    pairs = [CaptionPair(source, " ".join(found.split())) for source, found in both if found]
    write_pairs(job.out / DISTILLED, pairs)


def make_model(name: str, job: TranslatorJob) -> None:
    """Fit the model of that name in RECIPES."""
    recipe, started_s = RECIPES[name], time.monotonic()
    pairs = list(job.train)
    if recipe.from_cloud:
        pairs += read_captions(_made(job, DISTILLED))
    tokenizer = Tokenizer.from_file(str(_made(job, VOCABULARY)))
    translator = build(recipe.shape, tokenizer, job.seed)

    def report(epoch: int) -> str:
        if (epoch + 1) % _MEASURED_EPOCHS and epoch + 1 < recipe.schedule.epochs:
            return "not measured"
        return str(measure(translator, job.dev, f"{name}, dev"))

    rows = encode_pairs(tokenizer, pairs)
    state = job.out / f"{name}.state"
    fit(translator.model, rows, recipe.schedule, job.seed, name, state, report)
    score = measure(translator, job.dev, f"{name}, dev")
    record: dict[str, object] = {
        "seed": job.seed,
        "description": "Translates English captions of pictures into German.",
        "data_rows": {f"{FOLDER}/train.tsv.gz": len(job.train)},
        "distilled_rows": len(pairs) - len(job.train),
        "parameters": sum(weights.numel() for weights in translator.model.parameters()),
        "numbers": asdict(recipe),
        "wall_minutes": round((time.monotonic() - started_s) / 60, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dev_float32": asdict(score),
    }
    save(translator, job.out / name, record)
    print(f"{name}: BLEU {score.bleu} and chrF {score.chrf} on {score.rows} dev rows", flush=True)


STEPS: Final[dict[str, Callable[[TranslatorJob], None]]] = {
    "vocabulary": make_vocabulary,
    "cloud": partial(make_model, "cloud"),
    "distilled": make_distilled,
    "edge": partial(make_model, "edge"),
    "device": partial(make_model, "device"),
}


def _made(job: TranslatorJob, name: str) -> Path:
    path = job.out / name
    if not path.is_file():
        raise TrainingError(f"{path} is missing; run the step that makes it first")
    return path
