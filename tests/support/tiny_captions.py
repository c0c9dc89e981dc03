"""A few captions of our own in two languages, and the folder that the training reads."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"dog": "Hund", "man": "Mann", "boy": "Junge", "cook": "Koch"}
DOES = {"runs": "rennt", "sleeps": "schläft", "sings": "singt"}
CAPTIONS = tuple(
    (f"A {who} {does}.", f"Ein {wer} {tut}.")
    for who, wer in WORDS.items()
    for does, tut in DOES.items()
)


def write_captions(root: Path, repeats: int = 10) -> Path:
    """Write all captions as those to learn from, so often, and as those to be measured on."""
    folder = root / "multi30k_en_de"
    folder.mkdir(parents=True)
    for part, times in (("train", repeats), ("dev", 1)):
        with gzip.open(folder / f"{part}.tsv.gz", "wt", encoding="utf-8") as file:
            file.write("source\ttarget\n")
            file.writelines(f"{en}\t{de}\n" for en, de in CAPTIONS * times)
    return root
