"""The command `python -m models.train.translate`: train the demo's translators on Multi30k.

Every step leaves its result in the folder `--out` and reads what steps before it left there. A run
that was stopped goes on after the last epoch it finished.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from models.train.command import add_training, data_folder, parser_of, prepare
from models.train.translate.captions import read_pairs
from models.train.translate.steps import STEPS, TranslatorJob
from shared.errors import RecServeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps asked for; returns 0, or 2 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    prepare(options.threads)
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
    parser = parser_of("models.train.translate", __doc__)
    add_training(parser, STEPS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
