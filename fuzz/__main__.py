"""``python -m fuzz TARGET [EXECUTIONS]``: run one target under libFuzzer, by way of atheris.

A finding is printed with its traceback and kept as ``crash-…`` in ``runs/fuzz/TARGET``, where the
inputs that reached new code are kept, too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["device_agent", "shared", "yaml"]):
    from fuzz.targets import TARGETS

from fuzz.seeds import seeds

_LONGEST_BYTES: Final = 4096
_SLOWEST_S: Final = 10


def main(target: str, executions: str = "100000") -> None:
    """Fuzz until a finding, or for so many executions; libFuzzer ends the process."""
    corpus = Path("runs/fuzz") / target
    corpus.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds(target)):
        (corpus / f"seed-{index}").write_bytes(seed)
    limits = [f"-runs={executions}", f"-max_len={_LONGEST_BYTES}", f"-timeout={_SLOWEST_S}"]
    words = [sys.argv[0], *limits, f"-artifact_prefix={corpus}/", "-print_final_stats=1"]
    atheris.Setup([*words, str(corpus)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    if not (2 <= len(sys.argv) <= 3 and sys.argv[1] in TARGETS):  # noqa: PLR2004 - see the first line
        sys.exit(f"usage: python -m fuzz {{{','.join(TARGETS)}}} [EXECUTIONS]")
    main(*sys.argv[1:])
