"""The command `python -m models.train`: train the demo's models from public data."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import transformers

from models.train.corpus import read_corpus
from models.train.errors import TrainingError
from models.train.steps import STEPS, Job, run
from models.train.student import find_base
from shared.errors import RecServeError

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA_VARIABLE = "RECSERVE_DATA"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps asked for; returns 0, or 2 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        corpus = read_corpus(data_folder(options.data))
        job = Job(corpus, find_base(options.base), options.out, options.seed)
        for step in STEPS:
            if step in options.steps:
                run(step, job)
    except RecServeError as error:
        print(f"models.train: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    data_help = f"folder of the data sets (default: the variable {DATA_VARIABLE})"
    parser.add_argument("--data", type=Path, help=data_help)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model folders")
    parser.add_argument("--base", type=Path, help="folder of the start weights")
    parser.add_argument("--seed", type=int, default=59154, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--steps", nargs="+", choices=STEPS, default=list(STEPS), help="default: all, in order"
    )
    return parser


def data_folder(given: Path | None) -> Path:
    """Return the folder given, or the one the environment names. Raises TrainingError."""
    folder = given or Path(os.environ.get(DATA_VARIABLE, ""))
    if folder == Path() or not folder.is_dir():
        raise TrainingError(f"give the folder of the data sets by --data or {DATA_VARIABLE}")
    return folder


if __name__ == "__main__":
    sys.exit(main())
