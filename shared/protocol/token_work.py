"""How much work texts are that a model is to write, as far as can be told before they are written.

Pure, and the same for texts that are written (``shared.serving.token_rounds``) and for those whose
time is simulated (``experiments.simulator.token_rounds``). Work is counted in tokens to write.
"""

from __future__ import annotations

from typing import Final

from shared.tasks.generate import NEW_TOKENS

ROUND_S: Final = 0.25
"""How long texts are gone on with before anybody is told what came of it, at most."""
_BYTES_PER_TOKEN: Final = 10
"""Of a prompt that is as much work to read as one token is to write, as a rule."""
_SMOOTHING: Final = 0.1


class TokenWork:
    """What texts have been like, and so what the next will be like."""

    def __init__(self) -> None:
        self._written: float | None = None
        self.mean = float(NEW_TOKENS)
        """Work of a prompt, as a rule."""

    def weigh(self, prompt_bytes: int, new_tokens: object) -> float:
        """Return about how much work a prompt is that asks for so many ``new_tokens`` at most."""
        written = float(NEW_TOKENS) if self._written is None else self._written
        new = min(written, new_tokens) if isinstance(new_tokens, int) else written
        weight: float = new + to_read(prompt_bytes)
        self.mean += (weight - self.mean) * _SMOOTHING
        return weight

    def ended(self, tokens: int) -> None:
        """Take note that a text ended after so many tokens."""
        written = float(tokens)
        before = written if self._written is None else self._written
        self._written = before + (written - before) * _SMOOTHING


def to_read(prompt_bytes: int) -> float:
    """Return how much work it is to read a prompt."""
    return prompt_bytes / _BYTES_PER_TOKEN


def left(weight: float, written: int) -> float:
    """Return about how much work is left of a text of which so many tokens are written."""
    return max(weight - written, 1.0)
