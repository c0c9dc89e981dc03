"""What a device puts aside: texts that its process died of, and stored rows that nobody can read.

Both go to its dead letters, for people to look at, and neither stands in the way of anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_agent.delivery.attempts import DIGEST_BYTES, Attempts, digest_of
from device_agent.delivery.counted import counted
from shared.errors import Quarantined, StoreError
from shared.messages import Prompt
from shared.storage.dead_letters import DeadLetter, DeadLetters
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from device_agent.delivery.outbox_file import OutboxRow
    from shared.runtimes import Model

_ROW_BYTES: Final = 64 << 10

_log = get_logger()


class PoisonGuard:
    """The dead letters of one device, and the count of its deaths that leads there."""

    def __init__(self, folder: Path, agent: str, *, attempts: int) -> None:
        """Open both files in a folder. Raises ``SettingsError``."""
        self._agent = agent
        self._limit = attempts
        self._attempts = Attempts(folder / f"{agent}.attempts")
        self._letters = DeadLetters.open(folder, agent)
        self._known = {bytes.fromhex(sha)[:DIGEST_BYTES] for sha in self._letters.texts()}

    def counted(self, model: Model) -> Model:
        """Return the model with its deaths counted."""
        return counted(model, self._attempts)

    async def check(self, prompt: Prompt) -> None:
        """Put a prompt aside, which raises ``Quarantined``, if we died of its text too often.

        Of prompts with one text the first is kept as a letter.
        """
        if not self._known or digest_of(prompt.text) not in self._known:
            died = self._attempts.died_of(prompt.text)
            if died < self._limit:
                return
            await self._put_aside(prompt, died)
        raise Quarantined(f"put aside: the device died at it {self._limit} times")

    async def row(self, row: OutboxRow, reason: str) -> bool:
        """Put a row aside that cannot be read; say whether that went."""
        shown = repr(row.payload[:_ROW_BYTES])[2:-1]
        unread = Prompt(row.id, self._agent, "classify", shown, 0.0)
        return await self._write(DeadLetter.of(unread, reason=reason, attempts=0))

    async def close(self) -> None:
        """Close both files."""
        self._attempts.close()
        await self._letters.close()

    async def _put_aside(self, prompt: Prompt, died: int) -> None:
        reason = f"the device died at it {died} times"
        if await self._write(DeadLetter.of(prompt, reason=reason, attempts=died)):
            self._known.add(digest_of(prompt.text))
            self._attempts.forget(prompt.text)

    async def _write(self, letter: DeadLetter) -> bool:
        try:
            await self._letters.quarantine(letter)
        except StoreError as error:
            _log.warning("not among the dead letters yet", reason=str(error))
            return False
        return True
