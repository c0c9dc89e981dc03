"""What a head costs a prompt: ``python -m experiments.profiling.head BUNDLE SET.tsv ...``.

Prints the CPU time of a head alone for the first texts of each set, and what adapting its forecasts
costs besides (``learn: true``), once it has learned of every text: the least of several rounds and
the median, beside the version of Python and the machine.
"""

from __future__ import annotations

import platform
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from experiments.datasets.read import read_set
from experiments.datasets.source import Source
from shared.cascade.adaptation import Adaptation
from shared.cli import clear_errors
from shared.errors import BundleError, SettingsError
from shared.runtimes.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.runtimes.second_opinion import SecondOpinion

_TEXTS: Final = 500
_ROUNDS: Final = 15


def time_opinion(second: SecondOpinion, texts: Sequence[str], labels: int) -> list[float]:
    """Return the mean time of a text in microseconds, for each of several rounds."""
    probabilities = (0.75, *(0.25 / (labels - 1),) * (labels - 1))
    return _time(lambda text: second.judge(text, probabilities), texts)


def time_adaptation(texts: Sequence[str], labels: Sequence[str]) -> list[float]:
    """Return the same for the forecasts of an adaptation that knows the labels."""
    adaptation = Adaptation()
    for text, label in zip(texts, cycle(labels), strict=False):
        adaptation.learn(adaptation.foretell(text, labels[0], 0.75), labels[0], label)
    return _time(lambda text: adaptation.foretell(text, labels[0], 0.75), texts)


def _time(work: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    rounds = []
    for _ in range(_ROUNDS):
        start_s = time.thread_time()
        for text in texts:
            work(text)
        rounds.append((time.thread_time() - start_s) * 1e6 / len(texts))
    return rounds


def main(words: Sequence[str]) -> None:
    """Time and print."""
    with clear_errors():
        if len(words) < 2:  # noqa: PLR2004 - a bundle and a set
            raise SettingsError("give a bundle and one labelled set at least")
        bundle = Bundle.open(words[0])
        second, labels = bundle.second_opinion(), bundle.manifest.labels
        if second is None:
            raise BundleError(f"{bundle.folder}: has no head")
        print(f"Python {platform.python_version()}, {platform.machine()}")  # noqa: T201
        for place in words[1:]:
            texts = read_set(Source(place=place, rows=_TEXTS), labels).texts
            mean_words = np.mean([len(text.split()) for text in texts])
            print(f"{Path(place).parent.name}: {mean_words:.0f} words")  # noqa: T201
            for what, rounds in (
                ("the head", time_opinion(second, texts, len(labels))),
                ("adapting", time_adaptation(texts, labels)),
            ):
                print(  # noqa: T201
                    f"  {what}: {min(rounds):.1f} us at least, {np.median(rounds):.1f} us in the "
                    "median round"
                )


if __name__ == "__main__":
    main(sys.argv[1:])
