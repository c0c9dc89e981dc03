"""The values in a row of a trace; what is wrong with one is told apart."""

from __future__ import annotations

import math
from typing import Final, TypeVar

import msgspec

from experiments.traces.faults import BadRow

_Value = TypeVar("_Value")
LARGEST: Final = 1 << 53
"""Beyond it a number need not be the one that was written."""


def number(text: str, what: str) -> float:
    """Read a finite number that is not negative, or raise ``BadRow``."""
    try:
        value = float(text)
    except ValueError:
        raise BadRow(f"{what} is {text!r}, not a number") from None
    if not (math.isfinite(value) and value >= 0):
        raise BadRow(f"{what} is {text!r}: a finite number from 0 on is wanted")
    return value


def tokens(text: str, what: str) -> int:
    """Read a count of tokens, which may be written as ``128.0``, or raise ``BadRow``."""
    value = number(text, what)
    if value != int(value) or value > LARGEST:
        raise BadRow(f"{what} is {text!r}, not a whole number")
    return int(value)


def decode(decoder: msgspec.json.Decoder[_Value], text: str) -> _Value:
    """Read one JSON object, or raise ``BadRow``."""
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRow(str(error)) from error
