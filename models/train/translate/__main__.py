"""The command `python -m models.train.translate`: train the demo's translators on Multi30k.

Every step leaves its result in the folder `--out` and reads what steps before it left there. A run
that was stopped goes on after the last epoch it finished.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import transformers

from models.train.__main__ import DATA_VARIABLE, data_folder
from models.train.translate.captions import read_pairs
from models.train.translate.steps import STEPS, TranslatorJob
from shared.errors import RecServeError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps asked for; returns 0, or 2 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        data = data_folder(options.data)
        train, dev = read_pairs(data, "train"), read_pairs(data, "dev")
        job = TranslatorJob(train, dev, options.out, options.seed)
        for name, step in STEPS.items():
            if name in options.steps:
                step(job)
    except RecServeError as error:
        print(f"models.train.translate: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.train.translate", description=__doc__)
    data_help = f"folder of the data sets (default: the variable {DATA_VARIABLE})"
    parser.add_argument("--data", type=Path, help=data_help)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model folders")
    parser.add_argument("--seed", type=int, default=59154, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--steps", nargs="+", choices=STEPS, default=list(STEPS), help="default: all, in order"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
