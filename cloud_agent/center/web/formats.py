"""Figures as people read them: the filters of the templates."""

from __future__ import annotations

import time
from typing import Final

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")
_STEP: Final = 1000
_FEW: Final = 10
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def size(value: float | None) -> str:
    """Return a size as people read it."""
    if value is None:
        return "–"
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    raise AssertionError


def span(value: float | None) -> str:
    """Return a time span as people read it."""
    if value is None:
        return "–"
    if value < _MINUTE:
        return f"{value:.1f} s" if 0 < value < _FEW else f"{value:.0f} s"
    if value < _HOUR:
        return f"{value / _MINUTE:.0f} min"
    return f"{value / _HOUR:.1f} h" if value < _DAY else f"{value / _DAY:.1f} d"


def number(value: float | None) -> str:
    """Return a figure with as many places as it deserves."""
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004


def percent(value: float | None) -> str:
    """Return a share in percent."""
    return "–" if value is None else f"{value:.1%}"


def clock(value: float) -> str:
    """Return a time of day."""
    return time.strftime("%H:%M:%S", time.localtime(value))


def signed(value: float | None, places: int = 3) -> str:
    """Return a figure with its sign."""
    return "–" if value is None else f"{value:+.{places}f}"


def fixed(value: float | None, places: int = 3) -> str:
    """Return a figure with so many places."""
    return "–" if value is None else f"{value:.{places}f}"


FILTERS: Final = {
    "signed": signed,
    "fixed": fixed,
    "size": size,
    "span": span,
    "number": number,
    "percent": percent,
    "clock": clock,
}
