"""The words and word pairs of a text, hashed into the slots of a table.

For whoever wants to do the same elsewhere: the text in lower case and UTF-8; its words are runs of
letters, digits, apostrophes and bytes from 0x80 up, and each ``!`` and ``?``; a word's hash is its
CRC-32, that of a pair is the CRC-32 of the second word begun at the first word's hash with every
bit flipped. A hash modulo the size of the table is an n-gram's slot, and each slot counts once.

Pure, and without numpy: some 10 µs a sentence in plain Python.
"""

from __future__ import annotations

import re
from itertools import chain, repeat
from operator import and_, xor
from typing import Final
from zlib import crc32

_WORD: Final = re.compile(rb"[a-z0-9'\x80-\xff]+|[!?]")
_FLIP: Final = 0xFFFF_FFFF


def slots_of(text: str, mask: int) -> tuple[int, set[int]]:
    """Return how many words a text has, and the slots of its words and pairs of words.

    ``mask`` is the number of slots, a power of two, less one.
    """
    words = _WORD.findall(text.lower().encode("utf-8", "replace"))
    singles = list(map(crc32, words))
    pairs = map(crc32, words[1:], map(xor, singles, repeat(_FLIP)))
    return len(words), set(map(and_, chain(singles, pairs), repeat(mask)))
