"""Settings that the centre has put over an agent's own: taken, kept, and told as they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.nodes.store import BundleStore

_log = get_logger()


class SettingChanges:
    """What is in force of the centre's; it outlives the process in the store's note."""

    def __init__(self, taken: Mapping[str, str], take: Callable[[Mapping[str, str]], None]) -> None:
        """Begin with what was ``taken`` at the start; ``take`` puts others in their place.

        It raises ``SettingsError`` for what the agent cannot have, and then changes nothing.
        """
        self.in_force = dict(taken)
        self._take = take

    async def bring_about(self, wanted: Mapping[str, str], store: BundleStore) -> None:
        """Put what is wanted in force, and keep it.

        Raises ``SettingsError``, and ``OSError`` where it cannot be kept for a restart.
        """
        if wanted == self.in_force:
            return
        self._take(wanted)
        self.in_force = dict(wanted)
        _log.info("settings changed by the centre", settings=self.in_force)
        note = await asyncio.to_thread(store.note)
        await asyncio.to_thread(store.write_note, replace(note, settings=self.in_force))
