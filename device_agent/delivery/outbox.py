"""The outbox of a device's delivery: what is accepted and not answered yet, bounded in prompts.

Its rows lie in a file (``device_agent.delivery.outbox_file``). Without one everything is as
committed as memory can be, for as long as the process lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_agent.delivery.outbox_codec import encode_escalated, encode_resolved
from shared.errors import StoreError, StoreFull
from shared.tasks import answer_bytes
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from device_agent.delivery.outbox_codec import ReplyTo
    from device_agent.delivery.outbox_file import OutboxFile, OutboxRow
    from device_agent.delivery.quarantine import PoisonGuard
    from shared.cascade.tier import Escalation
    from shared.messages import Prompt, Result

_log = get_logger()


class Outbox:
    """What is committed and not forgotten yet."""

    def __init__(
        self, outbox: OutboxFile | None, aside: PoisonGuard | None, limit_prompts: int
    ) -> None:
        self._file = outbox
        self._guard = aside
        self._limit_prompts = limit_prompts
        self._stored: set[UUID] = set()
        self._reserved: dict[UUID, int] = {}
        self._reserved_bytes = 0

    def recovered(self) -> Iterator[OutboxRow]:
        """Yield what an earlier run left."""
        for row in self._file.recovered() if self._file is not None else ():
            self._stored.add(row.id)
            yield row

    async def store(self, escalated: Escalation, asker: ReplyTo | None) -> None:
        """Return once the prompt is committed.

        Raises ``StoreError`` in words for its asker, who is not to hear of files.
        """
        if len(self._stored) >= self._limit_prompts:
            raise StoreFull(f"{self._limit_prompts} prompts wait for an answer already")
        prompt_id = escalated.prompt.id
        self._stored.add(prompt_id)
        if self._file is None:
            return
        payload = encode_escalated(escalated, asker)
        self.reserve(escalated.prompt, len(payload))
        try:
            await self._file.store(prompt_id, payload, reserved_bytes=self._reserved_bytes)
        except StoreError as error:
            self._stored.discard(prompt_id)
            self._release(prompt_id)
            _log.warning("prompt not stored", id=str(prompt_id), reason=str(error))
            if isinstance(error, StoreFull):
                raise StoreFull("the outbox is full, or its disk") from error
            raise StoreError("the outbox cannot be written") from error

    def reserve(self, prompt: Prompt, payload_bytes: int) -> None:
        """Keep room for the part of an answer that is longer than its prompt, until it is there."""
        more = answer_bytes(prompt.task, prompt.text, prompt.options) - payload_bytes
        if more > 0 and prompt.id not in self._reserved:
            self._reserved[prompt.id] = more
            self._reserved_bytes += more

    async def resolve(self, result: Result) -> None:
        """Return once the result is committed, or cannot be.

        Better to answer anew after a crash than not to answer now.
        """
        if self._file is None or result.id not in self._stored:
            return
        try:
            await self._file.resolve(result.id, encode_resolved(result))
        except StoreError as error:
            _log.warning("result not stored", id=str(result.id), reason=str(error))
        self._release(result.id)

    def forget(self, prompt_id: UUID) -> None:
        """Let go of a prompt that may have been stored."""
        if prompt_id in self._stored:
            self._stored.discard(prompt_id)
            self._release(prompt_id)
            if self._file is not None:
                self._file.forget(prompt_id)

    async def put_aside(self, row: OutboxRow, reason: str) -> None:
        """Let go of a row that cannot be read, once it lies with the dead letters."""
        self._stored.discard(row.id)
        if self._file is None or self._guard is None:
            return
        if await self._guard.row(row, reason):
            self._file.forget(row.id)

    def _release(self, prompt_id: UUID) -> None:
        self._reserved_bytes -= self._reserved.pop(prompt_id, 0)
