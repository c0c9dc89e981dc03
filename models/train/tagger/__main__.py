"""The command `python -m models.train.tagger`: train the demo's taggers on CoNLL-2003."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import BertForTokenClassification

from models.conll import read_sentences
from models.train.command import add_training, data_folder, parser_of, prepare
from models.train.folder import save
from models.train.student import HUB_ID, Student, find_base, load_student
from models.train.tagger import recipe
from models.train.tagger.measure import measure
from shared.errors import RecServeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from models.conll import Sentence

FOLDER = "conll2003"
STEPS = ("edge", "device")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps asked for; returns 0, or 2 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    prepare(options.threads)
    try:
        data = data_folder(options.data) / FOLDER
        sentences = read_sentences(data / "train.conll.gz")
        dev = read_sentences(data / "dev.conll.gz")
        for step in STEPS:
            if step in options.steps:
                _make(step, sentences, dev, options)
    except RecServeError as error:
        print(f"models.train.tagger: {error}", file=sys.stderr)
        return 2
    return 0


def _make(
    step: str,
    sentences: Sequence[Sentence],
    dev: Sequence[Sentence],
    options: argparse.Namespace,
) -> None:
    started_s = time.monotonic()
    student, numbers = _TRAIN[step](sentences, options)
    minutes = (time.monotonic() - started_s) / 60
    score = measure(student, dev, f"{step}, dev")
    record = {
        "seed": options.seed,
        "base": HUB_ID,
        "data_rows": {f"{FOLDER}/train.conll.gz": len(sentences)},
        "numbers": asdict(numbers),
        "wall_minutes": round(minutes, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dev_fp32": asdict(score) | {"f1": round(score.f1, 4)},
    }
    save(student, options.out / step, record, truncation="right")
    print(
        f"{step}: F1 {score.f1:.4f} on {len(dev)} dev sentences "
        f"(precision {score.precision:.4f}, recall {score.recall:.4f}), {minutes:.1f} minutes",
        flush=True,
    )


def _edge(
    sentences: Sequence[Sentence], options: argparse.Namespace
) -> tuple[Student, recipe.EdgeTagger]:
    source = find_base(options.base)
    return recipe.train_edge(source, sentences, recipe.EDGE, options.seed), recipe.EDGE


def _device(
    sentences: Sequence[Sentence], options: argparse.Namespace
) -> tuple[Student, recipe.DeviceTagger]:
    edge = load_student(options.out / "edge", BertForTokenClassification)
    return recipe.train_device(edge, sentences, recipe.DEVICE, options.seed), recipe.DEVICE


_TRAIN: dict[str, Callable[..., tuple[Student, recipe.EdgeTagger | recipe.DeviceTagger]]] = {
    "edge": _edge,
    "device": _device,
}


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("models.train.tagger", __doc__)
    parser.add_argument("--base", type=Path, help="folder of the start weights")
    add_training(parser, STEPS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
