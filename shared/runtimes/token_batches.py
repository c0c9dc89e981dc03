"""How a model that reads tokens works through a list of prompts, whatever its engine and its task.

Prompts are read one by one, sorted by length and cut into batches of similar length, so that
little padding is computed. Leaves out everything an engine or a task does: turning a prompt into
tokens, running a batch of them and what becomes of its numbers are handed in.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from shared.errors import ModelFailed

if TYPE_CHECKING:
    from shared.messages import Scored
    from shared.tasks import Request

Read = TypeVar("Read", bound=Sized)
"""A prompt as the model reads it; its length is that of its tokens."""
Row = TypeVar("Row")
"""What comes out of the model for one prompt."""

_ENDS = (KeyboardInterrupt, SystemExit)
_FREE_PADDING_TOKENS = 8
_PADDING_SHARE = 0.25


class Limits(NamedTuple):
    """How many prompts run together at most, and how many tokens, with the padding."""

    prompts: int
    tokens: int = sys.maxsize


@dataclass(frozen=True)
class Steps(Generic[Read, Row]):
    """What is done to a prompt, in order; `scored` is told how long the model took for it."""

    read: Callable[[Request], Read]
    forward: Callable[[list[Read]], Sequence[Row]]
    scored: Callable[[Request, Read, Row, float], Scored | ModelFailed]


def answer_in_batches(
    requests: Sequence[Request], steps: Steps[Read, Row], limits: Limits
) -> list[Scored | ModelFailed]:
    """Return one entry per request, in order; see ``Model.answer``."""
    entries: dict[int, Scored | ModelFailed] = {}
    reads: dict[int, Read] = {}
    read_us: dict[int, float] = {}
    for index, request in enumerate(requests):
        start_s = time.perf_counter()
        try:
            reads[index] = steps.read(request)
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - an engine's panic is no Exception
            entries[index] = _failed("tokenise", error)
        read_us[index] = (time.perf_counter() - start_s) * 1e6
    for batch in _cut(reads, limits):
        for index, row, share_us in _run(batch, reads, steps):
            if isinstance(row, ModelFailed):
                entries[index] = row
            else:
                spent_us = share_us + read_us[index]
                entries[index] = steps.scored(requests[index], reads[index], row, spent_us)
    return [entries[index] for index in range(len(requests))]


def _run(
    batch: list[int], reads: Mapping[int, Read], steps: Steps[Read, Row]
) -> Iterator[tuple[int, Row | ModelFailed, float]]:
    """Run one batch; when it fails as a whole, its prompts one at a time."""
    start_s = time.perf_counter()
    try:
        rows = steps.forward([reads[index] for index in batch])
    except _ENDS:
        raise
    except BaseException as error:  # noqa: BLE001 - an engine's panic is no Exception
        if len(batch) == 1:
            yield batch[0], _failed("run on", error), 0.0
            return
        for index in batch:
            yield from _run([index], reads, steps)
        return
    share_us = (time.perf_counter() - start_s) * 1e6 / len(batch)
    for index, row in zip(batch, rows, strict=True):
        yield index, row, share_us


def _cut(reads: Mapping[int, Sized], limits: Limits) -> Iterator[list[int]]:
    """Yield the prompts in batches of similar length, the shortest first."""
    batch: list[int] = []
    limit_tokens = 0.0
    for index in sorted(reads, key=lambda index: len(reads[index])):
        length = len(reads[index])
        full = len(batch) == limits.prompts or (len(batch) + 1) * length > limits.tokens
        if batch and (full or length > limit_tokens):
            yield batch
            batch = []
        if not batch:
            limit_tokens = length * (1 + _PADDING_SHARE) + _FREE_PADDING_TOKENS
        batch.append(index)
    if batch:
        yield batch


def _failed(what: str, error: BaseException) -> ModelFailed:
    return ModelFailed(f"the model could not {what} this prompt: {type(error).__name__}: {error}")
