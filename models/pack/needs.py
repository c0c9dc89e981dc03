"""Libraries that packing needs and that are not installed everywhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs(extras: str, what: str = "packing") -> Iterator[None]:
    """Say of what is imported within, and is not installed, which extras of ours bring it.

    Raises ``RuntimeUnavailable``.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"{what} needs {error.name}, which is not here; in the folder of this project: "
            f'pip install -e ".[{extras}]"'
        ) from error
