"""The folder for what must outlive an agent's process, held by one process at a time."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import SettingsError
from shared.lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.settings import AgentSettings


@contextlib.contextmanager
def state_folder(settings: AgentSettings) -> Iterator[Path | None]:
    """Hold the ``state`` folder of an agent as long as the context lasts; None if none is set.

    It is made if it is missing. Raises ``SettingsError`` when that cannot be done, or when another
    process runs as the same agent on it.
    """
    if not settings.state:
        yield None
        return
    folder = Path(settings.state)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"state: {folder} cannot be made ({error.strerror})") from error
    with hold(folder / f"{settings.agent}.lock"):
        yield folder
