"""Sums told as a story, as in GSM8K: the number that an answer comes to is all that counts.

That is the first behind ``####``, where an answer has the mark of that set, else the last of the
answer. Signs of currency, of percent and between thousands do not count; a fraction is its value.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_NUMBER: Final = re.compile(
    r"(?<![\w.])[-\u2212]?[$\u20ac\u00a3]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:/[1-9]\d*)?(?!\w)"
)
_MARK: Final = "####"
_NO_DIGITS: Final = re.compile(r"[,$\u20ac\u00a3]")


def grade(answer: str, references: tuple[str, ...]) -> float:
    """Return 1.0 where the answer comes to the number of a reference, however that is written."""
    said = number_of(answer)
    return float(said is not None and said in {number_of(each) for each in references})


def number_of(text: str) -> Fraction | None:
    """Return the number that a text comes to; None where there is none."""
    _, mark, behind = text.rpartition(_MARK)
    found = _NUMBER.findall(behind)
    if not found:
        return None
    plain = _NO_DIGITS.sub("", found[0 if mark else -1]).replace("\u2212", "-")
    whole, _, parts = plain.partition("/")
    return Fraction(whole) / int(parts or 1)
