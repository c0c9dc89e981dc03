"""What a language model of transformers reads and writes: its tokenizer, and how it is framed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.errors import BundleError, ModelFailed

if TYPE_CHECKING:
    from collections.abc import Sequence


class TorchTokens:
    """A tokenizer of transformers, beside the model that it belongs to."""

    def __init__(self, tokenizer: Any, network: Any, *, encodes: bool) -> None:
        self._tokenizer = tokenizer
        self._encodes = encodes
        config = network.generation_config
        self.chats = bool(tokenizer.chat_template) and not encodes
        self.ends = _ends(config.eos_token_id, tokenizer.eos_token_id)
        self.start = _start(network) if encodes else ()
        added = tokenizer.added_tokens_decoder.values()
        self.special = [token.content for token in added if token.special]
        self._before_label = "" if self.chats or encodes else " "

    def encode(self, text: str) -> list[int]:
        """Return a prompt's tokens, in the frame that the model knows: a chat brings its own."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=not self.chats, verbose=False)[
            "input_ids"
        ]
        return ids

    def label(self, label: str) -> list[int]:
        """Return the tokens of an answer that is no more than a label, with that which ends it."""
        key = "text_target" if self._encodes else "text"
        given = {key: self._before_label + label}
        ids: list[int] = self._tokenizer(**given, add_special_tokens=False)["input_ids"]
        return [*ids, min(self.ends, default=0)]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without those that are no text."""
        return str(
            self._tokenizer.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """Return a chat as the model reads it, up to where its own turn begins."""
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    list(messages), tokenize=False, add_generation_prompt=True
                )
            )
        except Exception as error:
            raise ModelFailed(f"the chat template does not take this chat: {error}") from error


def _ends(configured: Any, of_tokenizer: int | None) -> frozenset[int]:
    ends = of_tokenizer if configured is None else configured
    if ends is None:
        return frozenset()
    return frozenset(ends if isinstance(ends, list) else [ends])


def _start(network: Any) -> tuple[int, ...]:
    """Return the token from which a decoder starts. Raises ``BundleError``."""
    config, given = network.config, network.generation_config
    known = (
        given.decoder_start_token_id,
        getattr(config, "decoder_start_token_id", None),
        given.bos_token_id,
        getattr(config, "bos_token_id", None),
    )
    starts = [token for token in known if isinstance(token, int)]
    if not starts:
        raise BundleError(
            f"{config.name_or_path}: names no decoder_start_token_id, from which it would begin to "
            "write; add it to its generation_config.json"
        )
    return (starts[0],)
