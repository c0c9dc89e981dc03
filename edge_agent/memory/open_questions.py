"""Questions that were answered here because nobody above could be reached: asked again later.

Pure. A question is kept once, however often it came, in memory alone: a restart forgets it. Asked
again it is the edge's own prompt, whose result nobody waits for but the memory.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import msgspec

from shared.messages import Prompt

if TYPE_CHECKING:
    from uuid import UUID

    from shared.cascade.tier import Escalation

_MOST: Final = 1_000
_LASTS_S: Final = 60.0


class OpenQuestions:
    """Escalations that came back degraded, the oldest first."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str, bytes], Escalation] = OrderedDict()
        self._origins: OrderedDict[UUID, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, escalation: Escalation) -> None:
        """Keep a question for later; of too many the oldest is dropped."""
        prompt = escalation.prompt
        origin = self.origin_of(prompt)
        options = msgspec.json.encode(prompt.options, order="sorted")
        kept = msgspec.structs.replace(prompt, origin=origin)
        self._waiting[origin, prompt.text, options] = msgspec.structs.replace(
            escalation, prompt=kept
        )
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)

    def next(self, agent: str, now_s: float) -> Escalation | None:
        """Return the oldest question as an agent's own prompt, on its way up; and forget it."""
        if not self._waiting:
            return None
        _, escalation = self._waiting.popitem(last=False)
        before = escalation.prompt
        prompt = Prompt(
            uuid4(),
            agent,
            before.task,
            before.text,
            now_s + _LASTS_S,
            before.hops[-1:],
            options=before.options,
        )
        self._origins[prompt.id] = before.origin
        if len(self._origins) > _MOST:
            self._origins.popitem(last=False)
        local = msgspec.structs.replace(escalation.local_result, id=prompt.id, hops=prompt.hops)
        return msgspec.structs.replace(escalation, prompt=prompt, local_result=local)

    def asked(self, prompt: Prompt) -> bool:
        """Return whether a prompt is one that was asked again: nobody waits for its answer."""
        return prompt.id in self._origins

    def origin_of(self, prompt: Prompt) -> str:
        """Return who asked a prompt's question first."""
        return self._origins.get(prompt.id, prompt.origin)
