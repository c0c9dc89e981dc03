"""The command `python -m models.train`: train the demo's models from public data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from models.train.command import add_training, data_folder, parser_of, prepare
from models.train.corpus import read_corpus
from models.train.steps import STEPS, Job, run
from models.train.student import find_base
from shared.errors import RecServeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps asked for; returns 0, or 2 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    prepare(options.threads)
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
    parser = parser_of("models.train", __doc__)
    parser.add_argument("--base", type=Path, help="folder of the start weights")
    add_training(parser, STEPS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
