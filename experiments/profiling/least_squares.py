"""Least squares without negative coefficients, from the package that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


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
