"""What the commands that train have in common: their options, and where the public sets lie."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
import transformers

from models.train.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterable

_DATA_VARIABLE: Final = "RECSERVE_DATA"
_SEED: Final = 59154


def parser_of(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of ``python -m module`` that knows where the data sets lie."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    where = f"folder of the data sets (default: the variable {_DATA_VARIABLE})"
    parser.add_argument("--data", type=Path, help=where)
    return parser


def add_training(parser: argparse.ArgumentParser, steps: Iterable[str]) -> None:
    """Add what every training has: where it writes, its seed, its threads and its steps."""
    known = list(steps)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model folders")
    parser.add_argument("--seed", type=int, default=_SEED, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--steps", nargs="+", choices=known, default=known, help="default: all, in order"
    )


def prepare(threads: int) -> None:
    """Have PyTorch compute in ``threads`` threads, and transformers be quiet."""
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def data_folder(given: Path | None) -> Path:
    """Return the folder given, or the one the environment names. Raises TrainingError."""
    folder = given or Path(os.environ.get(_DATA_VARIABLE, ""))
    if folder == Path() or not folder.is_dir():
        raise TrainingError(f"give the folder of the data sets by --data or {_DATA_VARIABLE}")
    return folder
