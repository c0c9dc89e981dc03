"""How a model of PyTorch reads a prompt and goes on by a token: with an encoder, or without one."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from shared.errors import BundleError
from shared.runtimes.torch_rows import EncoderRows, Rows

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

_PIECE: Final = 512
"""Tokens of a prompt that are read at a time: the others wait for no longer than that."""


class Decoder(Protocol):
    """What reads and writes tokens."""

    def read(self, tokens: Sequence[int], before: Rows | None) -> tuple[int, Rows, Any]:
        """Read a piece of one prompt; return its length, and rows and scores behind it."""

    def go_on(self, tokens: Sequence[int], rows: Rows) -> tuple[Rows, Any]:
        """Take one more token of each row; return the rows and scores of what may come next."""

    def score(self, label: Sequence[int], rows: Rows, scores: Any) -> float:
        """Return the mean log probability of a label's tokens behind the prompt of one row."""

    def together(self, rows: Rows) -> Hashable:
        """Return what is equal for rows that can go on together; of one that cannot, its own."""


class CausalDecoder:
    """A ``Decoder`` for models without an encoder."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network = network
        self._device = device
        known = inspect.signature(network.forward).parameters
        self._placed = "position_ids" in known
        self._cache = _cache_key(network)
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in known else {}

    def read(self, tokens: Sequence[int], before: Rows | None) -> tuple[int, Rows, Any]:
        """Read a piece of one prompt; see ``Decoder.read``."""
        piece = list(tokens[:_PIECE])
        rows, scores = self._forward([piece], before, self._last)
        return len(piece), rows, scores[:, -1]

    def go_on(self, tokens: Sequence[int], rows: Rows) -> tuple[Rows, Any]:
        """Take one more token of each row; see ``Decoder.go_on``."""
        rows, scores = self._forward([[token] for token in tokens], rows, self._last)
        return rows, scores[:, -1]

    def score(self, label: Sequence[int], rows: Rows, scores: Any) -> float:
        """Return how likely a label is; see ``Decoder.score``."""
        first = scores[:, None]
        if len(label) == 1:
            return mean_log_probability(first[0], label)
        copied = Rows(copy.deepcopy(rows.cache), rows.mask)
        _, behind = self._forward([list(label[:-1])], copied, {})
        return mean_log_probability(torch.cat([first, behind], dim=1)[0], label)

    def together(self, rows: Rows) -> Hashable:
        """Return what is equal for rows that can go on together; see ``Decoder``."""
        return 0 if rows.joinable else id(rows.cache)

    def _forward(
        self, tokens: list[list[int]], before: Rows | None, more: dict[str, Any]
    ) -> tuple[Rows, Any]:
        ids = torch.tensor(tokens, device=self._device)
        mask = torch.ones_like(ids)
        if before is not None:
            mask = torch.cat([before.mask, mask], dim=1)
        if self._placed:
            places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            more = {**more, "position_ids": places}
        output = self._network(
            input_ids=ids,
            attention_mask=mask,
            use_cache=True,
            **{self._cache: before and before.cache},
            **more,
        )
        return Rows(_cache_of(output, self._cache), mask), output.logits


class CrossDecoder:
    """A ``Decoder`` for models with an encoder: it reads, and the decoder writes from ``start``."""

    def __init__(self, network: Any, device: torch.device, start: Sequence[int]) -> None:
        self._network = network
        self._encoder = network.get_encoder()
        self._device = device
        self._start = list(start)
        self._places: Any = None
        self._cache = _cache_key(network)
        self._levels = self._level()

    def read(self, tokens: Sequence[int], before: Rows | None) -> tuple[int, Rows, Any]:
        """Read a piece of one prompt; see ``Decoder.read``."""
        del before
        ids = torch.tensor([list(tokens)], device=self._device)
        mask = torch.ones_like(ids)
        states = self._encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        empty = EncoderDecoderCache(DynamicCache(), DynamicCache())
        rows, scores = self._forward([self._start], empty, None, EncoderRows(states, mask))
        return len(tokens), rows, scores[:, -1]

    def go_on(self, tokens: Sequence[int], rows: Rows) -> tuple[Rows, Any]:
        """Take one more token of each row; see ``Decoder.go_on``."""
        new = [[token] for token in tokens]
        rows, scores = self._forward(new, rows.cache, rows.mask, rows.encoded)
        return rows, scores[:, -1]

    def score(self, label: Sequence[int], rows: Rows, scores: Any) -> float:
        """Return how likely a label is; see ``Decoder.score``."""
        del scores
        started = [*self._start, *label[:-1]]
        empty = EncoderDecoderCache(DynamicCache(), DynamicCache())
        _, behind = self._forward([started], empty, None, rows.encoded)
        return mean_log_probability(behind[0, len(self._start) - 1 :], label)

    def together(self, rows: Rows) -> Hashable:
        """Return what is equal for rows that can go on together; see ``Decoder``."""
        if not rows.joinable:
            return id(rows.cache)
        return 0 if self._levels else rows.length

    def _forward(
        self, tokens: list[list[int]], cache: Any, before: Any, encoded: EncoderRows | None
    ) -> tuple[Rows, Any]:
        assert encoded is not None  # noqa: S101 - an encoder has read all of these
        ids = torch.tensor(tokens, device=self._device)
        mask = torch.ones_like(ids)
        if before is not None:
            mask = torch.cat([before, mask], dim=1)
        self._places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._network(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded.states),
            attention_mask=encoded.mask,
            decoder_input_ids=ids,
            decoder_attention_mask=mask,
            use_cache=True,
            **{self._cache: cache},
        )
        return Rows(_cache_of(output, self._cache), mask, encoded), output.logits

    def _level(self) -> bool:
        """See to it that places count from each text's own start; say whether that can be had.

        T5 and its kin only count how far apart two tokens are. Others have a layer for places,
        which is told them here where it can be told. Of the rest only texts of equal length go on
        together.
        """
        placing = getattr(self._network.get_decoder(), "embed_positions", None)
        if placing is None:
            return bool(getattr(self._network.config, "relative_attention_num_buckets", 0))
        if "position_ids" not in inspect.signature(placing.forward).parameters:
            return False

        def tell(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            return given, {**named, "position_ids": self._places}

        def shape(_: Any, __: Any, vectors: Any) -> Any:  # some count on one row for all texts
            return vectors.reshape(*self._places.shape, -1)

        placing.register_forward_pre_hook(tell, with_kwargs=True)
        placing.register_forward_hook(shape)
        return True


def mean_log_probability(scores: Any, tokens: Sequence[int]) -> float:
    """Return the mean log probability of tokens, each by the scores in its own row."""
    chances = torch.log_softmax(scores.float(), -1)
    chosen = chances.gather(-1, torch.tensor(tokens, device=chances.device)[:, None])
    return float(chosen.mean())


def _cache_key(network: Any) -> str:
    """Return what versions of transformers call what a model holds of the past."""
    known = inspect.signature(network.forward).parameters
    return "cache" if "cache" in known else "past_key_values"


def _cache_of(output: Any, key: str) -> Any:
    cache = getattr(output, key, None)
    if cache is None:
        raise BundleError(
            "the model keeps nothing of what it has read, so it cannot go on token by token; "
            "choose a transformer that does"
        )
    return cache
