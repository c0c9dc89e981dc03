"""What the centre changes of a running agent besides its model: settings, and what it counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.nodes.store import BundleStore, StoreNote
    from shared.wire.control import Desired

_log = get_logger()


class SettingChanges:
    """What is in force of the centre's; it outlives the process in the store's note."""

    def __init__(
        self,
        taken: Mapping[str, str],
        take: Callable[[Mapping[str, str]], None],
        compare: Callable[[bool], None],
    ) -> None:
        """Begin with what was ``taken`` at the start; ``take`` puts others in their place.

        It raises ``SettingsError`` for what the agent cannot have, and then changes nothing.
        ``compare`` has the agent told what comes of the prompts that it sends up, or no longer.
        """
        self.in_force = dict(taken)
        self._take = take
        self._compare = compare

    async def bring_about(self, desired: Desired, store: BundleStore) -> None:
        """Put the settings that are wanted in force, and keep them.

        Raises ``SettingsError``, and ``OSError`` where they cannot be kept for a restart.
        """
        self._compare(desired.compares)
        wanted = desired.settings
        if wanted != self.in_force:
            self._take(wanted)
            self.in_force = dict(wanted)
            _log.info("settings changed by the centre", settings=self.in_force)
        await asyncio.to_thread(store.update_note, self._noted)

    def _noted(self, note: StoreNote) -> StoreNote:
        """Return a note with what is in force by now: who asked may have been overtaken."""
        return replace(note, settings=self.in_force)
