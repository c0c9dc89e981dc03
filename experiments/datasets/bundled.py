"""The bundled labelled prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from shared.errors import DataError

FILE: Final = Path(__file__).with_name("prompts.tsv")
_HEADER = ["text", "label", "domain", "kind"]


class LabelledPrompt(NamedTuple):
    """A prompt with the label that a careful reader gives it."""

    text: str
    label: str
    domain: str
    kind: str


def read_prompts(file: Path = FILE) -> list[LabelledPrompt]:
    """Read a labelled set. Raises ``DataError`` that names file and row."""
    lines = file.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0].split("\t") != _HEADER:
        raise DataError(f"{file}: row 1 must be the header {' '.join(_HEADER)}, tab-separated")
    prompts: list[LabelledPrompt] = []
    for number, line in enumerate(lines[1:], start=2):
        columns = line.split("\t")
        if len(columns) != len(_HEADER):
            raise DataError(f"{file}: row {number} has {len(columns)} columns, not 4")
        prompts.append(LabelledPrompt(*columns))
    return prompts
