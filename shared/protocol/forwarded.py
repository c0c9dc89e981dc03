"""The prompts that an agent sent on to a tier above, until word of them comes back."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

import msgspec

from shared.cascade.tier import Escalation
from shared.protocol.holder import Holder
from shared.tasks import size_of

_ENTRY_BYTES = 1_000


class ForwardedPrompt(msgspec.Struct):
    """A prompt that was sent on: under which id, who has it, and when it last went up.

    The id is its own unless this agent passes results down: then it is one of ours, since the ids
    of several devices need not differ.
    """

    escalated: Escalation
    id_above: UUID
    holder: Holder
    repeated_s: float = 0.0

    @property
    def key(self) -> tuple[str, UUID]:
        """Return what the prompt is known by below: its origin and id."""
        return self.escalated.prompt.origin, self.escalated.prompt.id


class ForwardedPrompts:
    """Prompts by origin and id, bounded in bytes: the oldest go first.

    What is forgotten here is judged again when its origin repeats it.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._prompts: OrderedDict[tuple[str, UUID], ForwardedPrompt] = OrderedDict()
        self._keys: dict[UUID, list[tuple[str, UUID]]] = {}

    def __len__(self) -> int:
        return len(self._prompts)

    def put(self, onward: ForwardedPrompt) -> None:
        """Take in a prompt."""
        self.pop(onward.key)
        self._prompts[onward.key] = onward
        self._keys.setdefault(onward.id_above, []).append(onward.key)
        self._bytes += _size(onward)
        while self._bytes > self._limit_bytes:
            self.pop(next(iter(self._prompts)))

    def find(self, key: tuple[str, UUID]) -> ForwardedPrompt | None:
        """Return the prompt of one origin."""
        return self._prompts.get(key)

    def by_id(self, prompt_id: UUID) -> ForwardedPrompt | None:
        """Return the prompt that word from above is about: there only the id is known.

        None if several devices' prompts have that id, and nobody can tell which is meant.
        """
        keys = self._keys.get(prompt_id, [])
        return self._prompts.get(keys[0]) if len(keys) == 1 else None

    def pop(self, key: tuple[str, UUID]) -> ForwardedPrompt | None:
        """Take a prompt out."""
        onward = self._prompts.pop(key, None)
        if onward is not None:
            self._bytes -= _size(onward)
            keys = self._keys[onward.id_above]
            keys.remove(key)
            if not keys:
                del self._keys[onward.id_above]
        return onward


def _size(onward: ForwardedPrompt) -> int:
    prompt = onward.escalated.prompt
    return _ENTRY_BYTES + 4 * (len(prompt.text) + size_of("", prompt.options))
