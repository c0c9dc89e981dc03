"""The prompts that an agent sent on to a tier above, until word of them comes back."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from shared.escalated import Escalated

_ENTRY_BYTES = 1_000


class SentOn:
    """Prompts by origin and id, bounded in bytes: the oldest go first.

    What is forgotten here is judged again when its origin repeats it.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._prompts: OrderedDict[tuple[str, UUID], Escalated] = OrderedDict()
        self._keys: dict[UUID, tuple[str, UUID]] = {}

    def __len__(self) -> int:
        return len(self._prompts)

    def put(self, escalated: Escalated) -> None:
        """Take in a prompt, or what changed of it."""
        prompt = escalated.prompt
        key = (prompt.origin, prompt.id)
        self.pop(key)
        self._prompts[key] = escalated
        self._keys[prompt.id] = key
        self._bytes += _size(escalated)
        while self._bytes > self._limit_bytes:
            self.pop(next(iter(self._prompts)))

    def find(self, key: tuple[str, UUID]) -> Escalated | None:
        """Return the prompt of one origin."""
        return self._prompts.get(key)

    def by_id(self, prompt_id: UUID) -> Escalated | None:
        """Return the prompt that word from above is about: there only the id is known."""
        key = self._keys.get(prompt_id)
        return self._prompts.get(key) if key else None

    def pop(self, key: tuple[str, UUID]) -> Escalated | None:
        """Take a prompt out."""
        escalated = self._prompts.pop(key, None)
        if escalated is not None:
            self._bytes -= _size(escalated)
            if self._keys.get(key[1]) == key:
                del self._keys[key[1]]
        return escalated


def _size(escalated: Escalated) -> int:
    return _ENTRY_BYTES + 4 * len(escalated.prompt.text)
