"""The last prompts of the whole fleet, as its devices explained them. Bounded: old ones go."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from shared.wire.control import ExplainedPrompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.wire.control import Explained

KEPT: Final = 200


class HeardPrompt(msgspec.Struct, frozen=True):
    """One explained prompt, the device that was asked, and when the centre heard of it."""

    device: str
    prompt: ExplainedPrompt
    at: float


class ExplainedPrompts:
    """What devices told, each prompt once: what is told of one again replaces what was."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._heard: OrderedDict[tuple[str, str], HeardPrompt] = OrderedDict()

    def __iter__(self) -> Iterator[HeardPrompt]:
        """Go through them, the latest first."""
        return iter([*reversed(self._heard.values())])

    def hear(self, device: str, explained: Explained, at: float) -> None:
        """Take in what a device tells of its last prompts."""
        for prompt in explained.prompts:
            key = (device, prompt.id)
            self._heard.pop(key, None)
            self._heard[key] = HeardPrompt(device, prompt, at)
        while len(self._heard) > self._kept:
            self._heard.popitem(last=False)
