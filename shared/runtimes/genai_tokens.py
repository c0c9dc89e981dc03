"""A bundle's tokenizer and chat template, as ``onnxruntime-genai`` reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime_genai as genai

from shared.errors import BundleError, ModelFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes.bundle import Bundle


class GenaiTokens:
    """The ``Tokens`` of a bundle; ``ends`` are those that end a text."""

    def __init__(self, engine: genai.Model, bundle: Bundle) -> None:
        try:
            self.tokenizer = genai.Tokenizer(engine)
            self.ends = frozenset(int(token) for token in self.tokenizer.eos_token_ids)
        except Exception as error:
            raise BundleError(
                f"{bundle.tokenizer}: onnxruntime-genai cannot read it: {error}"
            ) from error
        self.end = min(self.ends, default=0)
        self._bos = self.tokenizer.bos_token_id

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens."""
        tokens: list[int] = self.tokenizer.encode(text).tolist() if text else []
        twice = tokens[:2] == [self._bos, self._bos]  # the template's, and the tokenizer's
        return tokens[1:] if twice else tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        return str(self.tokenizer.decode(np.array(tokens, np.int32))) if tokens else ""

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """Return a chat as the model reads it. Raises ``ModelFailed``."""
        try:
            return str(
                self.tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)
            )
        except Exception as error:
            raise ModelFailed(f"the chat template does not take this chat: {error}") from error
