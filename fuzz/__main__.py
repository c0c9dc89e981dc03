"""``python -m fuzz TARGET [EXECUTIONS]``: run one target under libFuzzer, by way of atheris.

A finding is printed with its traceback and kept as ``crash-…`` in ``runs/fuzz/TARGET``, where the
inputs that reached new code are kept, too.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import atheris

with atheris.instrument_imports(
    include=["broker", "device_agent", "experiments", "shared", "yaml"]
):
    from fuzz.targets import TARGETS

from fuzz.seeds import seeds
from fuzz.structure import FORM_OF, bend

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_BYTES: Final = 4096
_SLOWEST_S: Final = 10
_KEEPS_FORM: Final = 0.7


def main(target: str, executions: str = "100000") -> None:
    """Fuzz until a finding, or for so many executions; libFuzzer ends the process."""
    corpus = Path("runs/fuzz") / target
    corpus.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds(target)):
        (corpus / f"seed-{index}").write_bytes(seed)
    limits = [f"-runs={executions}", f"-max_len={_LONGEST_BYTES}", f"-timeout={_SLOWEST_S}"]
    words = [sys.argv[0], *limits, f"-artifact_prefix={corpus}/", "-print_final_stats=1"]
    mutator = {"custom_mutator": _mutator(target)} if target in FORM_OF else {}
    atheris.Setup([*words, str(corpus)], TARGETS[target], **mutator)
    atheris.Fuzz()


def _mutator(target: str) -> Callable[[bytes, int, int], bytes]:
    """Return what makes a new input of an old one: bent in form, or by libFuzzer's own means.

    What it bends is often a seed: coverage does not tell libFuzzer that those are worth keeping.
    """
    good = seeds(target)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        draw = random.Random(seed)  # noqa: S311 - libFuzzer's own seed
        if draw.random() < _KEEPS_FORM:
            whole = draw.choice((data, *good))
            bent = bend(whole, FORM_OF[target], draw)
            if bent is not None:
                return bent[:max_size]
        mutated: bytes = atheris.Mutate(data, max_size)
        return mutated

    return mutate


if __name__ == "__main__":
    if not (2 <= len(sys.argv) <= 3 and sys.argv[1] in TARGETS):  # noqa: PLR2004 - see the first line
        sys.exit(f"usage: python -m fuzz {{{','.join(TARGETS)}}} [EXECUTIONS]")
    main(*sys.argv[1:])
