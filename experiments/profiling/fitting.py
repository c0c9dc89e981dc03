"""Fits: least squares without negative coefficients, and what is left as quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_QUANTILES: Final = 21
EVEN: Final = (1.0,) * _QUANTILES
"""The quantiles of what takes just as long as expected."""


def nnls() -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, float]]:
    """Return the solver. Raises ``RuntimeUnavailable``."""
    try:
        from scipy.optimize import nnls as solve  # noqa: PLC0415 - heavy, and of an extra
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"measuring needs {error.name}, which is not installed here; in the folder of this "
            'project: pip install -e ".[measure]"'
        ) from error
    return solve


def spread_of(ratios: Sequence[float]) -> tuple[float, ...]:
    """Return 21 quantiles (0, 5 … 100 %) of measured over expected times."""
    quantiles = np.quantile(ratios, np.linspace(0, 1, _QUANTILES))
    return tuple(round(float(quantile), 4) for quantile in quantiles)
