"""What a model of PyTorch holds in memory of texts under way, a row for each of those together.

Texts differ in length and do not end together: the rows of shorter ones are filled up at the left,
and ``mask`` says which places are a text's own. What an encoder read is filled up at the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, EncoderDecoderCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Sides: TypeAlias = Callable[[int], tuple[int, ...]]
    """Where so many missing places are filled up, as torch takes it."""


class EncoderRows(NamedTuple):
    """What an encoder made of prompts, and which places are a prompt's own."""

    states: Any
    mask: Any


class Rows(NamedTuple):
    """Texts that go on together: the model's cache, and what its encoder read if it has one."""

    cache: Any
    mask: Any
    encoded: EncoderRows | None = None

    @property
    def length(self) -> int:
        """Places in the cache."""
        return int(self.mask.shape[-1])

    @property
    def joinable(self) -> bool:
        """Whether others can go on together with these: a cache of places, whole and in order."""
        own = self.cache if self.encoded is None else self.cache.self_attention_cache
        layers = getattr(own, "layers", ())
        whole = (type(layer) is DynamicLayer and layer.keys is not None for layer in layers)
        return bool(layers) and all(whole)


def keep(rows: Rows, numbers: Sequence[int]) -> Rows:
    """Return only those rows, without places that are none's."""
    which = torch.tensor(numbers, device=rows.mask.device)
    mask = rows.mask[which]
    first = int(mask.argmax(-1).min())
    own = _cache([(k[which, :, first:], v[which, :, first:]) for k, v in _own(rows)])
    if rows.encoded is None:
        return Rows(own, mask[:, first:])
    read = rows.encoded.mask[which]
    last = int(read.sum(-1).max())
    crossed = _cache([(k[which, :, :last], v[which, :, :last]) for k, v in _crossed(rows)])
    encoded = EncoderRows(rows.encoded.states[which, :last], read[:, :last])
    return Rows(EncoderDecoderCache(own, crossed), mask[:, first:], encoded)


def join(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all of these, in their order."""
    if len(parts) == 1:
        return parts[0]
    lengths = [part.length for part in parts]
    mask = _filled([part.mask for part in parts], lengths, lambda missing: (missing, 0))
    own = _joined([_own(part) for part in parts], lengths, lambda missing: (0, 0, missing, 0))
    encoded = [part.encoded for part in parts if part.encoded is not None]
    if not encoded:
        return Rows(own, mask)
    lengths = [int(one.mask.shape[-1]) for one in encoded]
    read = EncoderRows(
        _filled([one.states for one in encoded], lengths, _at_right),
        _filled([one.mask for one in encoded], lengths, lambda missing: (0, missing)),
    )
    crossed = _joined([_crossed(part) for part in parts], lengths, _at_right)
    return Rows(EncoderDecoderCache(own, crossed), mask, read)


def _at_right(missing: int) -> tuple[int, ...]:
    return 0, 0, 0, missing


def _filled(tensors: Sequence[Any], lengths: list[int], sides: Sides) -> Any:
    longest = max(lengths)
    pairs = zip(tensors, lengths, strict=True)
    return torch.cat([pad(tensor, sides(longest - length)) for tensor, length in pairs])


def _joined(parts: Sequence[list[tuple[Any, Any]]], lengths: list[int], sides: Sides) -> Any:
    return _cache(
        [
            (
                _filled([keys for keys, _ in layer], lengths, sides),
                _filled([values for _, values in layer], lengths, sides),
            )
            for layer in zip(*parts, strict=True)
        ]
    )


def _own(rows: Rows) -> list[tuple[Any, Any]]:
    own = rows.cache if rows.encoded is None else rows.cache.self_attention_cache
    return [(layer.keys, layer.values) for layer in own.layers]


def _crossed(rows: Rows) -> list[tuple[Any, Any]]:
    return [(layer.keys, layer.values) for layer in rows.cache.cross_attention_cache.layers]


def _cache(layers: Sequence[tuple[Any, Any]]) -> Any:
    cache = DynamicCache()
    for number, (keys, values) in enumerate(layers):
        cache.update(keys, values, number)
    return cache
